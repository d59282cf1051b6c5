"""k-fold cross-validation: each picture is predicted once by a network that never saw it.

The figures of the folds are summarised as mean ± standard deviation (n - 1), and the
out-of-fold predictions pooled into one confusion matrix, whose figures are those of the
project's contract. The two differ: a rare class may be missing from a fold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from model import writing
from model.checkpoints import folder
from model.checkpoints.card import write_card
from model.checkpoints.folder import Checkpoint
from model.data import datasets, doctor, splits
from model.data.classes import VOID
from model.data.datasets import DataSet
from model.data.splits import Split
from model.errors import ConfigError, DataError
from model.evaluation import recording
from model.evaluation.evaluate import evaluate
from model.evaluation.metrics import Metrics
from model.evaluation.studies import CrossValidationResult, Figures
from model.inference.segmenter import Segmenter
from model.training.guards import explained
from model.training.studies.configs import GOES_ON, CrossValidation, make_folder
from model.training.studies.runs import check_start, study_data, trained, with_split
from model.training.writer import RESUME_FILE
from model.words import CLASS_FIGURES, FIGURES

SUMMARY_FILE = "crossval.json"
TABLE_FILE = "crossval.csv"


@dataclass(frozen=True)
class Folds:
    """The folds and what they found.

    Attributes:
        checkpoints: one for each fold, its validation figures recorded.
        ensemble: all folds together as one checkpoint, its figures on the test part recorded.
        result: what `crossval.json` holds.
    """

    checkpoints: list[Checkpoint]
    ensemble: Checkpoint
    result: CrossValidationResult


def cross_validate(config: CrossValidation) -> Folds:
    """Trains those folds that are not trained yet, and summarises all in `config.output`.

    Writes `fold-1` and so on, complete checkpoint folders, `crossval.json` and `crossval.csv`.
    `config.output` is then itself a checkpoint folder, that of the ensemble.

    Raises: as `train`; `ConfigError` if the folder holds something else, or too few pictures.
    """
    _check_output(config)
    make_folder(config.output)
    with explained(config, GOES_ON):
        return _cross_validate(config)


def _cross_validate(config: CrossValidation) -> Folds:
    data = datasets.load(config.data, config.data_root, config.split)
    check_start(config, data, splits_anew=True)
    parts = data.folds(config.folds, config.seed)
    if not config.skip_check and not config.resume:
        doctor.before_training(data)
    _check_labelled(data, parts)
    checkpoints = []
    for number, part in enumerate(parts, start=1):
        print(f"fold {number} of {config.folds}: {len(part['validation'])} pictures held out")
        rule = f"fold {number} of {config.folds} of training and validation ({data.split_rule})"
        fold = with_split(data, part, rule)
        checkpoints.append(trained(config.fold(number), fold, ["validation", "test"]))
    ensemble = _ensemble(config, checkpoints, data)
    result = _result(config, data, checkpoints, ensemble)
    writing.write_text(config.output / SUMMARY_FILE, result.model_dump_json(indent=1) + "\n")
    writing.write_text(config.output / TABLE_FILE, writing.csv_text(_table(result)))
    return Folds(checkpoints, ensemble, result)


def _check_output(config: CrossValidation) -> None:
    """Nothing earlier is overwritten, and folds of different splits are not mixed."""
    begun = sorted(config.output.glob("fold-*")) if config.output.is_dir() else []
    if begun and not config.resume:
        raise ConfigError(
            f"{config.output} already holds {len(begun)} folds. Add --resume to continue, or "
            "choose another --output."
        )
    run = (config.output / folder.DESCRIPTION_FILE).exists() and not begun
    if run or (config.output / RESUME_FILE).exists():
        raise ConfigError(
            f"{config.output} holds a run of its own. Choose another --output for the folds."
        )
    if config.resume and not begun:
        raise ConfigError(
            f"--resume: {config.output} has no folds to continue. Leave --resume out to start them."
        )


def _check_labelled(data: DataSet, parts: list[Split]) -> None:
    """Raises `DataError` if a part of a fold has no pixel with a class: the folds before it would
    be trained in vain."""
    for number, split in enumerate(parts, start=1):
        for part, names in split.items():
            if not any((data.labels(name) != VOID).any() for name in names):
                raise DataError(
                    f"Fold {number} of {len(parts)}: all pixels of its {part} masks are void, so "
                    f"there is nothing to learn from or to score: {', '.join(names[:5])}. Label "
                    "them, leave them out, or choose another number of --folds."
                )


def _ensemble(config: CrossValidation, checkpoints: list[Checkpoint], data: DataSet) -> Checkpoint:
    """Makes the folder of the folds a checkpoint: the first fold, with the others as members."""
    first, *others = checkpoints
    path = config.output
    writing.write_bytes(path / folder.WEIGHTS_FILE, first.weights_path.read_bytes())
    writing.write_json(path / folder.CONFIG_FILE, first.config)
    sizes = {part: len(names) for part, names in data.split.items()}
    sizes |= {"train": sizes["train"] + sizes["validation"], "validation": 0}
    split = {"split_rule": data.split_rule, "split_digest": splits.digest(data.split)}
    own = {
        "members": [other.path.name for other in others],
        # All folds share its test part: scores on it can be compared with those of other runs.
        "data": first.description["data"] | split | {"split_sizes": sizes},
        # Each picture of the others is one that all folds but one have learned from.
        "training": first.description["training"]
        | {"include_validation": True, "command": config.command()},
    }
    writing.write_json(path / folder.DESCRIPTION_FILE, first.description | own)
    segmenter = Segmenter(folder.read(path), engine="torch", precision="f32")
    result = evaluate(segmenter, data, data.names("test"))
    ensemble = recording.record(segmenter.checkpoint, "test", result)
    write_card(ensemble)
    return ensemble


def _result(
    config: CrossValidation, data: DataSet, checkpoints: list[Checkpoint], ensemble: Checkpoint
) -> CrossValidationResult:
    figures = [checkpoint.figures("validation") for checkpoint in checkpoints]
    matrices = [np.array(each["confusion_matrix"]) for each in figures]
    description = ensemble.description
    return CrossValidationResult(
        data=study_data(data),
        class_names=data.classes.names,
        folds=config.folds,
        fold_rule=data.fold_rule,
        num_images=sum(each["num_images"] for each in figures),
        network=description["network"],
        encoder=description["encoder"],
        training=config.portable() | {"machine": description["training"]["machine"]},
        command=config.command(),
        pooled=Figures.of(Metrics.of(sum(matrices))),
        each=[Figures.of(Metrics.of(matrix)) for matrix in matrices],
        ensemble_on_test=ensemble.figures("test"),
    )


def _table(result: CrossValidationResult) -> list[dict[str, Any]]:
    """A row for each figure: all classes together, then class by class; in [0, 1]."""
    figures = [("all", name, None) for name in FIGURES]
    figures += [
        (title, name, class_id)
        for class_id, title in enumerate(result.class_names)
        for name in CLASS_FIGURES
    ]
    return [_row(result, *figure) for figure in figures]


def _row(
    result: CrossValidationResult, title: str, figure: str, class_id: int | None
) -> dict[str, Any]:
    mean, deviation = result.spread(figure, class_id)
    pooled = result.pooled.value(figure, class_id)
    numbers = {"mean": mean, "standard_deviation": deviation, "pooled": pooled}
    return {"class": title, "figure": figure} | {
        name: "" if value is None else round(value, 6) for name, value in numbers.items()
    }
