"""The figures of the bundled checkpoints as Markdown: generated, never typed.

`markdown_table` is the README's table, `document` the whole of docs/results.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.checkpoints.folder import Checkpoint
from model.evaluation.compare import recorded
from model.evaluation.published import PUBLISHED
from model.evaluation.report.candidate import Candidate, candidates
from model.evaluation.report.verdict import judge
from model.evaluation.report.words import NOTHING

FIGURES = {
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice (F1)",
    "mean_precision": "precision",
    "mean_recall": "recall",
    "accuracy": "accuracy",
}

INTRODUCTION = """\
# Results

Written by `python -m model results --output docs/results.md` from the `metrics.json` of each
checkpoint; nothing here is typed. Every figure is in per cent, from one confusion matrix over all
pictures of a part at their original resolution, void pixels left out; means run over the classes
that occur. F1 is another name of Dice. In brackets: the 95 % bootstrap interval over pictures, or
blocks of neighbouring frames, which says how the figure would move with other pictures, not with
another training. `python -m model evaluate --checkpoint NAME --split test` measures each anew."""


def markdown_table(checkpoints: Sequence[Checkpoint]) -> str:
    """One row per checkpoint with figures on the test split."""
    rows = []
    for checkpoint in checkpoints:
        figures = checkpoint.figures("test")
        if figures is None:
            continue
        network = checkpoint.description.get("network", {})
        rows.append(
            [
                f"`{checkpoint.name}`",
                checkpoint.network_name,
                _start(checkpoint),
                f"{network.get('parameters', 0) / 1e6:.1f} M",
                *(f"{100 * figures[name]:.1f} %" for name in ("mean_iou", "mean_dice", "accuracy")),
                figures["num_images"],
            ]
        )
    head = ["checkpoint", "network", "start", "parameters", "mean IoU", "mean Dice", "accuracy"]
    return _table([*head, "pictures"], rows)


def document(checkpoints: Sequence[Checkpoint]) -> str:
    """Everything that is recorded, data set by data set."""
    groups: dict[str, list[Checkpoint]] = {}
    for checkpoint in checkpoints:
        if checkpoint.figures("test"):
            groups.setdefault(checkpoint.data_name, []).append(checkpoint)
    sections = [_section(name, group) for name, group in groups.items()]
    return "\n\n".join([INTRODUCTION, *sections]) + "\n"


def _section(name: str, group: list[Checkpoint]) -> str:
    data = group[0].description["data"]
    sizes = data.get("split_sizes", {})
    parts = [
        f"## {data.get('title', name)}",
        f"{sizes.get('train')} pictures for training, {sizes.get('validation')} for validation, "
        f"{sizes.get('test')} for test; split: {data.get('split_rule')} "
        f"(digest `{data.get('split_digest')}`). {data.get('licence')}, {data.get('source')}.",
        _scores("test", group),
        _scores("validation", group),
        *_verdicts(group),
        _trainings(group),
        _prices(group),
        _classes(group),
        *_published(name),
    ]
    return "\n\n".join(part for part in parts if part)


def _scores(part: str, group: list[Checkpoint]) -> str:
    scored = [(c, figures) for c in group if (figures := c.figures(part))]
    if not scored:
        return ""
    rows = [
        [f"`{checkpoint.name}`", *(_with_interval(figures, name) for name in FIGURES)]
        for checkpoint, figures in scored
    ]
    heading = f"**{part.capitalize()}**, {scored[0][1]['num_images']} pictures, float32:"
    return f"{heading}\n\n{_table(['checkpoint', *FIGURES.values()], rows)}"


def _with_interval(figures: dict[str, Any], name: str) -> str:
    value = _percent(figures.get(name))
    ends = figures.get("intervals", {}).get(name)
    return f"{value} ({_percent(ends[0])} to {_percent(ends[1])})" if ends else value


def _verdicts(group: list[Checkpoint]) -> list[str]:
    """Each model from scratch against the best pretrained one."""
    by_name = {checkpoint.name: checkpoint for checkpoint in group}
    models = candidates(by_name, {name: recorded(c) for name, c in by_name.items()})
    scratch = [model for model in models if not _is_pretrained(model)]
    pretrained = [model for model in models if _is_pretrained(model) and model.metrics]
    if not scratch or not pretrained:
        return []
    best = max(pretrained, key=lambda model: model.metrics.mean_iou)
    return [
        " ".join([f"**{verdict.headline}.**", *verdict.details, *verdict.warnings])
        for verdict in (judge([model, best]) for model in scratch)
    ]


def _trainings(group: list[Checkpoint]) -> str:
    rows = []
    for checkpoint in group:
        training = checkpoint.description.get("training", {})
        size = checkpoint.weights_path.stat().st_size / 1e6
        rows.append(
            [
                f"`{checkpoint.name}`",
                checkpoint.network_name,
                _start(checkpoint),
                f"{checkpoint.description['network']['parameters'] / 1e6:.1f} M",
                f"{size:.1f} MB",
                f"{training.get('best_epoch')} of {training.get('epochs_done')}",
                f"{training.get('seconds', 0) / 60:.0f} min",
                training.get("machine", NOTHING),
            ]
        )
    head = ["checkpoint", "network", "start", "parameters", "file", "epoch kept", "time", "machine"]
    return _table(head, rows)


def _prices(group: list[Checkpoint]) -> str:
    """What bf16 and int8 cost on validation, in points of mean IoU."""
    if not any(checkpoint.prices() for checkpoint in group):
        return ""
    rows = []
    for checkpoint in group:
        prices = checkpoint.prices()
        costs = [f"{prices[p]:.2f}" if p in prices else NOTHING for p in ("bf16", "int8")]
        rows.append([f"`{checkpoint.name}`", *costs])
    table = _table(["points of mean IoU lost on validation", "bf16", "int8"], rows)
    return f"Prices of faster arithmetic:\n\n{table}"


def _classes(group: list[Checkpoint]) -> str:
    """IoU of each class on test."""
    figures = [checkpoint.figures("test")["per_class"] for checkpoint in group]
    support = figures[0]["support"]
    rows = [
        [
            info.name,
            f"{100 * support[info.id] / max(1, sum(support)):.2f}",
            *(_percent(per_class["iou"][info.id]) for per_class in figures),
        ]
        for info in group[0].classes
    ]
    table = _table(["IoU on test", "% of pixels", *(f"`{c.name}`" for c in group)], rows)
    return f"Each class:\n\n{table}"


def _published(name: str) -> list[str]:
    if name not in PUBLISHED:
        return []
    rows = [[p.what, p.figure, p.protocol, p.differs] for p in PUBLISHED[name]]
    head = ["published by others", "figure", "their protocol", "what differs here"]
    return [_table(head, rows)]


def _start(checkpoint: Checkpoint) -> str:
    encoder = checkpoint.description.get("encoder", {})
    origin = encoder.get("origin", "pretrained").split(" (")[0]
    return origin if encoder.get("pretrained") else "scratch"


def _is_pretrained(model: Candidate) -> bool:
    return bool(model.checkpoint.description.get("encoder", {}).get("pretrained"))


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f}"


def _table(head: list[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(map(str, line))} |" for line in (head, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])
