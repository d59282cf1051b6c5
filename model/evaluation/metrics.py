"""The one source of segmentation figures: an integer confusion matrix.

Contract: rows are truth, columns prediction, summed over the whole set, void pixels left
out. Means run over the classes that occur in truth or prediction; a class that occurs in
neither has no figure (NaN), rather than 0 or 1. So "mean IoU" here is the papers' pooled one,
not torchmetrics' mean over images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.data.classes import VOID
from model.words import CLASS_FIGURES, FIGURES


def confusion_matrix(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts pixels by (truth, prediction).

    Args:
        truth: integers of any shape, class ids or `VOID`.
        prediction: the same shape, class ids in [0, num_classes).

    Returns: int64 (num_classes, num_classes), rows truth.
    Raises: `ValueError` if shapes differ or an id is out of range.
    """
    if truth.shape != prediction.shape:
        raise ValueError(f"truth {truth.shape} and prediction {prediction.shape} differ in shape")
    counted = truth != VOID
    truth, prediction = truth[counted].astype(np.int64), prediction[counted].astype(np.int64)
    ids = (truth, prediction)
    if truth.size and not 0 <= min(map(np.min, ids)) <= max(map(np.max, ids)) < num_classes:
        raise ValueError(f"an id is not in [0, {num_classes})")
    counts = np.bincount(truth * num_classes + prediction, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes)


def class_iou(counts: np.ndarray) -> np.ndarray:
    """The IoU of each class, for counts that give no other figure; as `class_figures`."""
    hits, truth, predicted = (counts[..., i, :] for i in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return hits / (truth + predicted - hits)


def class_figures(counts: np.ndarray) -> dict[str, np.ndarray]:
    """The figures of each class: the one place that computes them from pixels.

    With TP, FP, FN in pixels: `iou` TP / (TP + FP + FN); `dice` 2 TP / (2 TP + FP + FN), which is
    also F1; `precision` TP / (TP + FP); `recall` TP / (TP + FN).

    Args: counts: int or float (..., 3, C), pixels that are right, in the truth, in the prediction.
    Returns: by key and in the order of `CLASS_FIGURES`, float64 (..., C) in [0, 1], NaN where
        there is nothing to divide by.
    """
    hits, truth, predicted = (counts[..., i, :] for i in range(3))
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "iou": class_iou(counts),
            "dice": 2 * hits / (truth + predicted),
            "precision": hits / predicted,
            "recall": hits / truth,
        }


def accuracy(counts: np.ndarray) -> np.ndarray:
    """The share of pixels that are right. (..., 3, C) as `class_figures` -> (...), NaN if none."""
    sums = counts.sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return sums[..., 0] / sums[..., 1]


def mean_of_known(values: np.ndarray) -> np.ndarray:
    """The mean over the classes that have a figure. (..., C) -> (...), NaN if none has."""
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(-1) / known.sum(-1)


@dataclass(frozen=True)
class Metrics:
    """Figures that follow from a confusion matrix, all in [0, 1], NaN where undefined.

    Per class, (C,): those of `class_figures`, and `support`, the number of truth pixels, int64.
    """

    matrix: np.ndarray
    iou: np.ndarray
    dice: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    support: np.ndarray
    accuracy: float

    @classmethod
    def of(cls, matrix: np.ndarray) -> Metrics:
        """From a confusion matrix (C, C), rows truth."""
        matrix = np.asarray(matrix, np.int64)
        counts = np.stack([np.diag(matrix), matrix.sum(1), matrix.sum(0)])
        return cls(
            matrix=matrix,
            **class_figures(counts),
            support=counts[1],
            accuracy=float(accuracy(counts)),
        )

    @property
    def mean_iou(self) -> float:
        return float(mean_of_known(self.iou))

    @property
    def mean_dice(self) -> float:
        return float(mean_of_known(self.dice))

    @property
    def mean_precision(self) -> float:
        return float(mean_of_known(self.precision))

    @property
    def mean_recall(self) -> float:
        return float(mean_of_known(self.recall))

    def to_json(self) -> dict:
        """Plain numbers, NaN as None, the matrix included."""

        def plain(value: float) -> float | None:
            return None if np.isnan(value) else round(float(value), 6)

        per_class = {name: [*map(plain, getattr(self, name))] for name in CLASS_FIGURES}
        return {
            **{name: plain(getattr(self, name)) for name in FIGURES},
            "per_class": {**per_class, "support": self.support.tolist()},
            "confusion_matrix": self.matrix.tolist(),
        }
