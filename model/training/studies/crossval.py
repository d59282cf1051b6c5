"""k-fold cross-validation: each picture is predicted once by a network that never saw it.

The figures of the folds are summarised as mean ± standard deviation (n - 1), and the
out-of-fold predictions pooled into one confusion matrix, whose figures are those of the
project's contract. The two differ: a rare class may be missing from a fold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.data import datasets, doctor, splits
from model.data.classes import ClassTable
from model.data.datasets import DataSet
from model.errors import ConfigError
from model.evaluation import recording
from model.evaluation.evaluate import evaluate
from model.evaluation.metrics import Metrics
from model.inference.segmenter import Segmenter
from model.training.guards import explained
from model.training.studies.configs import GOES_ON, CrossValidation, make_folder
from model.training.studies.runs import trained, with_split
from model.training.writer import RESUME_FILE

SUMMARY_FILE = "crossval.json"
TABLE_FILE = "crossval.csv"

HEADLINE = ("mean_iou", "mean_dice", "mean_precision", "mean_recall", "accuracy")
PER_CLASS = ("iou", "dice", "precision", "recall")


@dataclass(frozen=True)
class Folds:
    """What the folds found.

    Attributes:
        checkpoints: one for each fold, its validation figures recorded.
        classes: what the rows and columns of the matrices mean.
        pooled: of all out-of-fold predictions together.
        each: of each fold's validation part.
        ensemble: all folds together as one checkpoint, its figures on the test part recorded.
    """

    checkpoints: list[Checkpoint]
    classes: ClassTable
    pooled: Metrics
    each: list[Metrics]
    ensemble: Checkpoint

    def spread(self, figure: str, class_id: int | None = None) -> tuple[float, float]:
        """Mean and standard deviation (n - 1) over the folds that have the figure, in [0, 1].

        Args:
            figure: an attribute of `Metrics`; class_id: for figures per class.
        """
        values = np.array([getattr(metrics, figure) for metrics in self.each], np.float64)
        if class_id is not None:
            values = values[:, class_id]
        known = values[~np.isnan(values)]
        if not known.size:
            return float("nan"), float("nan")
        return float(known.mean()), float(known.std(ddof=1)) if known.size > 1 else float("nan")


def cross_validate(config: CrossValidation) -> Folds:
    """Trains what is not trained yet of the folds, and summarises them in `config.output`.

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
    parts = data.folds(config.folds, config.seed)
    if not config.skip_check and not config.resume:
        doctor.before_training(data)
    checkpoints = []
    for number, part in enumerate(parts, start=1):
        print(f"fold {number} of {config.folds}: {len(part['validation'])} pictures held out")
        rule = f"fold {number} of {config.folds} of training and validation ({data.split_rule})"
        fold = with_split(data, part, rule)
        checkpoints.append(trained(config.fold(number), fold, ["validation", "test"]))
    found = _summarise(checkpoints, _ensemble(config, checkpoints, data))
    folder.write_json(config.output / SUMMARY_FILE, _summary(config, data, found))
    folder.write_text(config.output / TABLE_FILE, folder.csv_text(_table(found)))
    return found


def _check_output(config: CrossValidation) -> None:
    """Nothing of an earlier one is written over, and folds of two cuts are not mixed."""
    begun = sorted(config.output.glob("fold-*")) if config.output.is_dir() else []
    if begun and not config.resume:
        raise ConfigError(
            f"{config.output} already holds {len(begun)} folds. Add --resume to go on, or choose "
            "another --output."
        )
    if (config.output / RESUME_FILE).exists():
        raise ConfigError(
            f"{config.output} holds a run of its own. Choose another --output for the folds."
        )


def _ensemble(config: CrossValidation, checkpoints: list[Checkpoint], data: DataSet) -> Checkpoint:
    """Makes the folder of the folds a checkpoint: the first fold, with the others as members."""
    first, *others = checkpoints
    path = config.output
    folder.write_bytes(path / folder.WEIGHTS_FILE, first.weights_path.read_bytes())
    folder.write_json(path / folder.CONFIG_FILE, first.config)
    split = {"split_rule": data.split_rule, "split_digest": splits.digest(data.split)}
    own = {
        "members": [other.path.name for other in others],
        # Its test part is everybody's: scores on it can be compared with those of other runs.
        "data": first.description["data"] | split,
    }
    folder.write_json(path / folder.DESCRIPTION_FILE, first.description | own)
    segmenter = Segmenter(folder.read(path), engine="torch", precision="f32")
    result = evaluate(segmenter, data, data.names("test"))
    return recording.record(segmenter.checkpoint, "test", result)


def _summarise(checkpoints: list[Checkpoint], ensemble: Checkpoint) -> Folds:
    matrices = [
        np.array(checkpoint.figures("validation")["confusion_matrix"]) for checkpoint in checkpoints
    ]
    return Folds(
        checkpoints,
        checkpoints[0].classes,
        Metrics.of(sum(matrices)),
        [Metrics.of(matrix) for matrix in matrices],
        ensemble,
    )


def _summary(config: CrossValidation, data: DataSet, found: Folds) -> dict[str, Any]:
    return {
        "data": data.name,
        "folds": config.folds,
        "fold_rule": data.fold_rule,
        "num_images": sum(c.figures("validation")["num_images"] for c in found.checkpoints),
        "resolution": "original",
        "training": replace(config, resume=False).portable(),
        "pooled": found.pooled.to_json(),
        "each": [metrics.to_json() for metrics in found.each],
        "ensemble_on_test": found.ensemble.figures("test"),
    }


def _table(found: Folds) -> list[dict[str, Any]]:
    """A row for each figure: all classes together, then class by class; in [0, 1]."""
    figures = [("all", name, None) for name in HEADLINE]
    figures += [(info.name, name, info.id) for info in found.classes for name in PER_CLASS]
    return [_row(found, *figure) for figure in figures]


def _row(found: Folds, title: str, figure: str, class_id: int | None) -> dict[str, Any]:
    mean, deviation = found.spread(figure, class_id)
    pooled = getattr(found.pooled, figure)
    if class_id is not None:
        pooled = float(pooled[class_id])
    numbers = {"mean": mean, "standard_deviation": deviation, "pooled": pooled}
    return {"class": title, "figure": figure} | {
        name: "" if np.isnan(value) else round(value, 6) for name, value in numbers.items()
    }
