"""The one source of segmentation figures: an integer confusion matrix.

Contract: rows are truth, columns prediction, summed over the whole set, void pixels left
out. Means run over the classes that occur in truth or prediction; a class that occurs in
neither has no figure (NaN), rather than 0 or 1. So "mean IoU" here is the pooled one of
the papers, not torchmetrics' mean over images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.data.classes import VOID


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


@dataclass(frozen=True)
class Metrics:
    """Figures that follow from a confusion matrix, all in [0, 1], NaN where undefined.

    Per class, float64 (C,), with TP, FP, FN in pixels: `iou` TP / (TP + FP + FN); `dice`
    2 TP / (2 TP + FP + FN), which is also F1; `precision` TP / (TP + FP); `recall`
    TP / (TP + FN). `support` is the number of truth pixels.
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
        hits = np.diag(matrix).astype(np.float64)
        truth, predicted = matrix.sum(1), matrix.sum(0)
        total = matrix.sum()
        with np.errstate(invalid="ignore"):
            return cls(
                matrix=matrix,
                iou=hits / (truth + predicted - hits),
                dice=2 * hits / (truth + predicted),
                precision=hits / predicted,
                recall=hits / truth,
                support=truth,
                accuracy=float(hits.sum() / total) if total else float("nan"),
            )

    @property
    def mean_iou(self) -> float:
        return mean_of_known(self.iou)

    @property
    def mean_dice(self) -> float:
        return mean_of_known(self.dice)

    @property
    def mean_precision(self) -> float:
        return mean_of_known(self.precision)

    @property
    def mean_recall(self) -> float:
        return mean_of_known(self.recall)

    def to_json(self) -> dict:
        """Plain numbers, NaN as None, the matrix included."""

        def plain(values: np.ndarray) -> list[float | None]:
            return [None if np.isnan(v) else round(float(v), 6) for v in values]

        headline = {
            name: None if np.isnan(value) else round(value, 6)
            for name, value in {
                "mean_iou": self.mean_iou,
                "mean_dice": self.mean_dice,
                "mean_precision": self.mean_precision,
                "mean_recall": self.mean_recall,
                "accuracy": self.accuracy,
            }.items()
        }
        per_class = {
            name: plain(getattr(self, name)) for name in ("iou", "dice", "precision", "recall")
        }
        return {
            **headline,
            "per_class": {**per_class, "support": self.support.tolist()},
            "confusion_matrix": self.matrix.tolist(),
        }


def mean_of_known(values: np.ndarray) -> float:
    """The mean of those that are not NaN; NaN if there is none."""
    finite = values[~np.isnan(values)]
    return float(finite.mean()) if finite.size else float("nan")
