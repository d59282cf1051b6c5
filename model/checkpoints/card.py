"""The model card, generated from what the checkpoint records; never written by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from model import writing
from model.checkpoints import folder
from model.checkpoints.cases import best_and_worst, describe
from model.checkpoints.data_notes import DATA_NOTES
from model.checkpoints.folder import OURS, Checkpoint
from model.checkpoints.licence import hub_licence
from model.data.files import OWN_FOLDER
from model.markdown import table
from model.words import CLASS_FIGURES, FIGURES, in_percent, with_interval

CASES = 5
DASH = "A dash: nothing to divide by, as for the precision of a class that is never predicted."


def write_card(checkpoint: Checkpoint) -> None:
    """Writes `README.md` into the checkpoint's folder."""
    writing.write_text(checkpoint.path / folder.CARD_FILE, card(checkpoint))


def card(checkpoint: Checkpoint, repository: str = "") -> str:
    """The card in Markdown, with the Hugging Face Hub's front matter.

    Args: repository: "owner/name" on the Hub, for a card that tells how to load it from there.

    Figures are those of `metrics.json`; a checkpoint without any says so.
    """
    sections = [
        _front_matter(checkpoint),
        f"# {checkpoint.name}",
        _introduction(checkpoint),
        _figures(checkpoint, repository),
        _classes(checkpoint),
        _cases(checkpoint),
        _data(checkpoint),
        _training(checkpoint),
        _loading(checkpoint, repository),
        _limits(checkpoint),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(checkpoint: Checkpoint) -> str:
    data = checkpoint.description["data"]
    licence = hub_licence(data["licence"])
    results = [
        EvalResult(
            task_type="image-segmentation",
            dataset_type=data["name"],
            dataset_name=data["title"],
            dataset_split=split,
            metric_type=metric,
            metric_name=title,
            metric_value=round(figures[metric], 4),
        )
        for split, figures in _splits(checkpoint).items()
        for metric, title in (
            ("mean_iou", "mean IoU"),
            ("mean_dice", "mean Dice"),
            ("accuracy", "accuracy"),
        )
        if figures[metric] is not None
    ]
    # Licences that are not on the Hub's list must be called "other" and named.
    named = {}
    if licence == "other":
        named["license_name"] = re.sub(r"[^a-z0-9.]+", "-", data["licence"].lower()).strip("-")
    if _is_of_smp(checkpoint):
        named["library_name"] = "segmentation-models-pytorch"
    meta = ModelCardData(
        license=licence,
        pipeline_tag="image-segmentation",
        tags=["u-net", "semantic-segmentation", "unet-studio"],
        model_name=checkpoint.name if results else None,
        eval_results=results or None,
        **named,
    )
    return f"---\n{meta.to_yaml()}\n---"


def _introduction(checkpoint: Checkpoint) -> str:
    description = checkpoint.description
    network, encoder = description["network"], description["encoder"]
    start = (
        f"a U-Net on the encoder {encoder['name']}, pretrained on {encoder['origin']}"
        if checkpoint.is_pretrained
        else "a U-Net trained from scratch, from random weights"
    )
    size = ""
    if checkpoint.is_shipped:
        size = f", {checkpoint.weights_path.stat().st_size / 1e6:.1f} MB"
    together = ""
    if members := description.get("members"):
        together = (
            f" It is an ensemble: its probabilities are averaged with those of "
            f"{', '.join(members)}, and the figures are of all together; parameters, size and "
            "training are its own."
        )
    return (
        f"Semantic segmentation with {len(checkpoint.classes)} classes, trained on "
        f"{description['data']['title']}: {start}. "
        f"{network['parameters'] / 1e6:.1f} million parameters{size}.{together}"
    )


def _figures(checkpoint: Checkpoint, repository: str) -> str:
    splits = _splits(checkpoint)
    if not splits:
        return (
            "## Figures\n\nNot scored yet: the run was stopped before it finished. "
            "`python -m model evaluate` scores it."
        )
    rows = [
        [split, f["num_images"], *(with_interval(f, name) for name in FIGURES)]
        for split, f in splits.items()
    ]
    figures = table(["split", "pictures", *FIGURES.values()], rows)
    first = next(iter(splits.values()))
    brackets = ""
    if any(f.get("intervals") for f in splits.values()):
        brackets = (
            "; in brackets the 95 % bootstrap interval over pictures, or over blocks of neighbours"
        )
    again = ""
    if checkpoint.is_shipped:
        own = " --data folder:PATH" if checkpoint.data_name == OWN_FOLDER else ""
        again = (
            f"; reproduce them with `python -m model evaluate --checkpoint "
            f"{repository or checkpoint.name}{own} --split test`"
        )
    return (
        f"## Figures\n\n{figures}\n\nIn per cent, from one confusion matrix over all "
        f"pictures of the split at their original resolution, void pixels left out{brackets}. "
        "Mean IoU and Dice are over the classes that "
        "occur in truth or prediction, mean precision is over the classes that are predicted, "
        "mean recall over the classes that occur in the truth. Computed with "
        f"{first['engine']} in {first['precision']}{again}." + _prices(checkpoint)
    )


def _prices(checkpoint: Checkpoint) -> str:
    prices = checkpoint.prices()
    if not prices:
        return ""
    costs = ", ".join(f"{precision} {points:.3f}" for precision, points in prices.items())
    return (
        f"\n\nWhat faster arithmetic costs on {checkpoint.price_split}, in points of mean IoU "
        f"(negative is a gain): {costs}."
    )


def _classes(checkpoint: Checkpoint) -> str:
    test = _splits(checkpoint).get("test")
    if not test:
        return ""
    per_class = test["per_class"]
    total = sum(per_class["support"])
    rows = [
        [
            info.name,
            in_percent(per_class["support"][info.id] / total, 2),
            *(in_percent(per_class[name][info.id]) for name in CLASS_FIGURES),
        ]
        for info in checkpoint.classes
    ]
    classes = table(["class", "share of pixels", *CLASS_FIGURES.values()], rows)
    return f"## Classes, on the test split\n\n{classes}\n\n{DASH}"


def _cases(checkpoint: Checkpoint) -> str:
    best, worst = best_and_worst(checkpoint, CASES)
    if len(best) < CASES or len(worst) < CASES:
        return ""

    def listed(chosen: list[Mapping[str, str]]) -> str:
        lines = []
        for row in chosen:
            said = describe(row, checkpoint.classes)
            score = in_percent(float(row["mean_iou"]))
            lines.append(f"- `{row['name']}`, {score} %" + (f": {said}" if said else ""))
        return "\n".join(lines)

    films = len({row.get("sequence") for row in checkpoint.per_image()}) > 1
    spread = ", from different video sequences or tiles where there are enough" if films else ""
    return (
        f"## Best and worst cases\n\nTest pictures by their own mean IoU{spread}. The best:\n\n"
        f"{listed(best)}\n\nThe worst:\n\n{listed(worst)}\n\nAll are in "
        f"`{folder.PER_IMAGE_FILE}`."
    )


def _data(checkpoint: Checkpoint) -> str:
    data = checkpoint.description["data"]
    return (
        f"## Data\n\n{data['title']}; licence: {data['licence']}; source: {data['source']}. "
        f"{sum(data['split_sizes'].values())} pictures: {parts_in_words(checkpoint)}. "
        f"Split: {data['split_rule']}. Digest of the data `{data['digest']}`, "
        f"of the split `{data['split_digest']}`. "
        + (f"{note} " if (note := DATA_NOTES.get(data["digest"])) else "")
        + "No picture of the data set is part of this checkpoint."
    )


def parts_in_words(checkpoint: Checkpoint) -> str:
    """How many pictures it learned from, chose its epoch by, and is tested on."""
    sizes = checkpoint.description["data"].get("split_sizes", {})
    within = checkpoint.description.get("training", {}).get("include_validation")
    validation = (
        "including those for validation" if within else f"{sizes.get('validation')} for validation"
    )
    return f"{sizes.get('train')} for training, {validation}, {sizes.get('test')} for test"


def _training(checkpoint: Checkpoint) -> str:
    training, versions = checkpoint.description["training"], checkpoint.description["versions"]
    before = training.get("before")
    commands = f"{before['command']}\n{training['command']}" if before else training["command"]
    earlier = (
        f"It started from an earlier run (the first command): {before['epochs_done']} epochs in "
        f"{before['seconds'] / 60:.0f} minutes. Then "
        if before
        else ""
    )
    curves = ""
    encoder = checkpoint.description["encoder"]
    file = ""
    if "sha256" in encoder and "/" not in encoder["file"]:
        file = (
            f"The encoder's file, `{encoder['file']}`, is not included; its SHA-256 is "
            f"`{encoder['sha256']}`, and it is looked for in `encoders/` beside the data sets. "
            "`--encoder-weights imagenet` starts instead from those of "
            "segmentation_models_pytorch for ImageNet, fetched from the Hugging Face Hub.\n\n"
        )
    code = f"; code at commit {versions['commit']}" if "commit" in versions else ""
    if (checkpoint.path / folder.HISTORY_FILE).exists():
        curves = (
            f" The curves are in `{folder.HISTORY_FILE}`; its figures are at the network's "
            "resolution, those of training on augmented crops."
        )
    if (checkpoint.path / folder.CURVES_FILE).exists():
        curves += f"\n\n![Loss, IoU, Dice and accuracy by epoch]({folder.CURVES_FILE})"
    return (
        f"## Training\n\n```\n{commands}\n```\n\n{file}{earlier}"
        f"{training['epochs_done']} epochs in {_minutes(checkpoint)} on "
        f"{training['machine']}; kept: {kept_epoch(training)}. "
        f"Seed {training['seed']}; torch {versions['torch']}{code}.{curves}"
    )


def _minutes(checkpoint: Checkpoint) -> str:
    passed, own = checkpoint.description["training"]["seconds"], checkpoint.training_seconds
    longer = f" ({passed / 60:.0f} with other work on the machine)" if passed > 1.05 * own else ""
    return f"{own / 60:.0f} minutes{longer}"


def kept_epoch(training: Mapping[str, Any]) -> str:
    """Which epoch's weights a checkpoint holds, in words. Args: training: of its description."""
    if training.get("include_validation"):
        return "the last epoch; it has learned from the validation split too"
    if training.get("keep") == "last":
        return "the last epoch"
    return f"epoch {training['best_epoch']}, the best mean IoU on the validation split"


def _loading(checkpoint: Checkpoint, repository: str) -> str:
    if not checkpoint.is_shipped:
        return (
            "## How to load\n\nIts weights are not shipped: only its figures are reported. The "
            "command above trains it again."
        )
    ours = (
        "from model.inference.segmenter import Segmenter\n\n"
        f'segmentation = Segmenter("{repository or checkpoint.name}").segment("picture.jpg")\n'
        "segmentation.labels  # uint8 (H, W), class ids"
    )
    text = f"## How to load\n\nWith U-Net Studio:\n\n```python\n{ours}\n```"
    if _is_of_smp(checkpoint):
        source = repository or f"weights/{checkpoint.name}"
        text += (
            "\n\nWith segmentation_models_pytorch:\n\n```python\n"
            "import segmentation_models_pytorch as smp\n\n"
            f'network = smp.from_pretrained("{source}")\n```\n\n'
            f"Its input is RGB {_scale(checkpoint)}, padded to a multiple of "
            f"{checkpoint.preprocessing.multiple}, in [0, 1], normalised with mean "
            f"{_numbers(checkpoint.preprocessing.mean)} and standard deviation "
            f"{_numbers(checkpoint.preprocessing.std)}."
        )
    return text


def _is_of_smp(checkpoint: Checkpoint) -> bool:
    """Whether segmentation_models_pytorch can open it."""
    return checkpoint.config["_model_class"] != OURS


def _scale(checkpoint: Checkpoint) -> str:
    longest_side = checkpoint.preprocessing.longest_side
    return f"scaled to {longest_side} pixels on the longer side" if longest_side else "as it is"


def _limits(checkpoint: Checkpoint) -> str:
    data = checkpoint.description["data"]
    test = _splits(checkpoint).get("test")
    weak = []
    if test:
        weak = [
            info.name
            for info in checkpoint.classes
            if (test["per_class"]["iou"][info.id] or 0) < 0.3
            and test["per_class"]["support"][info.id]
        ]
    text = (
        f"## Limits\n\nIt has learned to segment from {data['split_sizes']['train']} pictures of "
        f"{data['title']}; expect worse results with other cameras, places and weather. It always "
        "answers with one of its classes, even where none fits. Not for decisions that affect "
        "safety."
    )
    if re.search(r"\bNC\b", data["licence"]):
        text += " The pictures' licence excludes commercial use."
    if weak:
        text += f" Classes it hardly finds (IoU under 30 % on the test split): {', '.join(weak)}."
    return text


def _splits(checkpoint: Checkpoint) -> dict[str, dict]:
    """Figures of the reference precision, float32, by split."""
    figures = {name: checkpoint.figures(name) for name in ("train", "validation", "test")}
    return {name: found for name, found in figures.items() if found}


def _numbers(values: tuple[float, ...]) -> str:
    return json.dumps(list(values))
