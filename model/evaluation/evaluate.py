"""Scores a checkpoint on a part of a data set, at the pictures' original resolution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from model.data.datasets import DataSet
from model.errors import ConfigError
from model.evaluation.metrics import Metrics, confusion_matrix
from model.inference.segmenter import Segmenter


@dataclass(frozen=True)
class Evaluation:
    """Figures over a whole set, and the scores of each picture for paired comparison.

    Attributes:
        metrics: from the confusion matrix summed over all pictures.
        per_image: one row per picture: name, mean_iou, mean_dice, accuracy.
        engine, precision: what computed the predictions.
    """

    metrics: Metrics
    per_image: list[dict[str, str | float]]
    engine: str
    precision: str

    def to_json(self) -> dict:
        return {
            "num_images": len(self.per_image),
            "resolution": "original",
            "engine": self.engine,
            "precision": self.precision,
            **self.metrics.to_json(),
        }


def evaluate(segmenter: Segmenter, data: DataSet, names: Iterable[str]) -> Evaluation:
    """Segments the named samples and compares with their labels.

    Raises: `ConfigError` if the checkpoint's classes are not the data set's.
    """
    if segmenter.classes.names != data.classes.names:
        raise ConfigError(
            f"The checkpoint {segmenter.checkpoint.name} knows the classes "
            f"{segmenter.classes.names}, but {data.name} has {data.classes.names}."
        )
    size = len(data.classes)
    total = np.zeros((size, size), np.int64)
    rows: list[dict[str, str | float]] = []
    for name in names:
        image, truth = data.pair(name)
        matrix = confusion_matrix(truth, segmenter.segment(image).labels, size)
        total += matrix
        own = Metrics.of(matrix)
        rows.append(
            {
                "name": name,
                "mean_iou": round(own.mean_iou, 6),
                "mean_dice": round(own.mean_dice, 6),
                "accuracy": round(own.accuracy, 6),
            }
        )
    return Evaluation(Metrics.of(total), rows, segmenter.engine, segmenter.precision)
