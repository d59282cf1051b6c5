"""Scores a checkpoint on a part of a data set, at the pictures' original resolution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from model.data.datasets import DataSet
from model.errors import ConfigError, DataError
from model.evaluation.boundary import BoundaryQuality, boundary_counts
from model.evaluation.calibration import LEVELS, Calibration, confidence_counts
from model.evaluation.intervals import intervals
from model.evaluation.metrics import Metrics, confusion_matrix
from model.evaluation.objects import SIZES, ObjectRecall, object_counts
from model.evaluation.pictures import read_pictures
from model.evaluation.sequences import sequences
from model.inference.segmenter import Segmenter


@dataclass(frozen=True)
class Evaluation:
    """Figures over a whole set, and the scores of each picture for paired comparison.

    Attributes:
        metrics: from the confusion matrix summed over all pictures.
        per_image: one row per picture, with the columns that `model.checkpoints.folder` lists.
        engine, precision: what computed the predictions.
        boundary: how well contours are followed.
        calibration: whether its confidence matches how often the model is right.
        objects: how many objects are found, by size.
    """

    metrics: Metrics
    per_image: list[dict[str, str | float]]
    engine: str
    precision: str
    boundary: BoundaryQuality
    calibration: Calibration
    objects: ObjectRecall

    def to_json(self) -> dict:
        return {
            "num_images": len(self.per_image),
            "resolution": "original",
            "engine": self.engine,
            "precision": self.precision,
            **self.metrics.to_json(),
            "intervals": intervals(read_pictures(self.per_image, len(self.metrics.support))),
            "boundary": self.boundary.to_json(),
            "calibration": self.calibration.to_json(),
            "objects": self.objects.to_json(),
        }


def evaluate(segmenter: Segmenter, data: DataSet, names: Iterable[str]) -> Evaluation:
    """Segments the named samples and compares with their labels.

    Raises: `ConfigError` if the checkpoint's classes are not the data set's; `DataError` if all
        labels are void, which leaves nothing to score.
    """
    if segmenter.classes.names != data.classes.names:
        raise ConfigError(
            f"The checkpoint {segmenter.checkpoint.name} knows the classes "
            f"{segmenter.classes.names}, but {data.name} has {data.classes.names}."
        )
    names = list(names)
    size = len(data.classes)
    total = np.zeros((size, size), np.int64)
    boundary = np.zeros((3, size), np.int64)
    objects = np.zeros((2, size, len(SIZES)), np.int64)
    confidence = np.zeros((2, LEVELS), np.int64)
    sequence_of = sequences(data, names)
    rows: list[dict[str, str | float]] = []
    for name in names:
        image, truth = data.pair(name)
        found = segmenter.segment(image, confidence=True)
        matrix = confusion_matrix(truth, found.labels, size)
        contours = boundary_counts(truth, found.labels, size)
        things = object_counts(truth, found.labels, size)
        total += matrix
        boundary += contours
        objects += things
        confidence += confidence_counts(truth, found.labels, found.confidence)
        own = Metrics.of(matrix)
        rows.append(
            {
                "name": name,
                "mean_iou": round(own.mean_iou, 6),
                "mean_dice": round(own.mean_dice, 6),
                "accuracy": round(own.accuracy, 6),
                "sequence": sequence_of[name],
                "hits": _listed(np.diag(matrix)),
                "truth": _listed(matrix.sum(1)),
                "predicted": _listed(matrix.sum(0)),
                "boundary_hits": _listed(contours[0]),
                "boundary_truth": _listed(contours[1]),
                "boundary_predicted": _listed(contours[2]),
                "objects_found": _listed(things[0].sum(0)),
                "objects": _listed(things[1].sum(0)),
            }
        )
    if not total.any():
        raise DataError(
            f"{data.name}: every pixel of the {len(names)} masks is void, so there is nothing to "
            "score. `python -m model data check` says what masks hold."
        )
    return Evaluation(
        metrics=Metrics.of(total),
        per_image=rows,
        engine=segmenter.engine,
        precision=segmenter.precision,
        boundary=BoundaryQuality(boundary),
        calibration=Calibration.of(confidence),
        objects=ObjectRecall(objects),
    )


def _listed(counts: np.ndarray) -> str:
    """Integers in one cell of a table: "12 0 7"."""
    return " ".join(map(str, counts.tolist()))
