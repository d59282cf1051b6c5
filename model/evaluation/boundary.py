"""Boundary IoU: how well a prediction follows the contours between classes.

A region's IoU is dominated by its interior; here only a band along the contours counts.
Source: B. Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation
Evaluation", CVPR 2021. As there, the band lies inside each region and is 2 % of the picture's
diagonal wide. Unlike there, the picture's own border is not a contour: nearly every class of a
scene touches it, and it is found without effort.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from model.data.classes import VOID
from model.evaluation.metrics import class_iou, mean_of_known

DISTANCE = 0.02
"""Width of the band as a share of the picture's diagonal."""


def band_width(height: int, width: int) -> int:
    """Width of the band in pixels, at least 1.

    >>> band_width(300, 400)
    10
    """
    return max(1, round(DISTANCE * math.hypot(height, width)))


def band(labels: np.ndarray, distance: int) -> np.ndarray:
    """Pixels with another class within `distance` pixels (chessboard metric).

    For each class these are G_d of the paper, intersected with G: the mask less its erosion.
    `VOID` does not count as another class: where it begins there is no contour.

    Args: labels: uint8 (H, W), class ids or `VOID`.
    Returns: bool (H, W); undefined for void pixels.
    """
    from scipy import ndimage

    side = 2 * distance + 1
    # A window holds a single class exactly if its smallest id is its largest: two filters do for
    # all classes what would take one erosion per class. Void is neutral in both.
    lowest = ndimage.minimum_filter(labels, side, mode="nearest")
    highest = ndimage.maximum_filter(np.where(labels == VOID, 0, labels), side, mode="nearest")
    return lowest < highest


def boundary_counts(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts one picture's pixels in the bands of truth and prediction.

    Args:
        truth: uint8 (H, W), class ids or `VOID`.
        prediction: uint8 (H, W), class ids.

    Returns: int64 (3, C): per class the pixels in both bands, in the truth's, in the
        prediction's. Like those of a confusion matrix, the counts of pictures add up.
    """
    distance = band_width(*truth.shape)
    known = truth != VOID
    ours = band(truth, distance) & known
    theirs = band(np.where(known, prediction, VOID), distance) & known
    both = ours & theirs & (truth == prediction)
    parts = (truth[both], truth[ours], prediction[theirs])
    return np.stack([np.bincount(part, minlength=num_classes) for part in parts])


@dataclass(frozen=True)
class BoundaryQuality:
    """Boundary IoU over a set of pictures.

    Attributes:
        counts: int64 (3, C), the sum of `boundary_counts` of the pictures.
    """

    counts: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """Per class, float64 (C,) in [0, 1], NaN for classes without a contour in either."""
        return class_iou(self.counts)

    @property
    def mean_iou(self) -> float:
        return float(mean_of_known(self.iou))

    def to_json(self) -> dict:
        """Plain numbers, NaN as None, with the counts that they follow from."""
        iou = [None if np.isnan(value) else round(float(value), 6) for value in self.iou]
        mean = None if np.isnan(self.mean_iou) else round(self.mean_iou, 6)
        return {
            "distance": f"{100 * DISTANCE:g} % of the diagonal",
            "mean_iou": mean,
            "iou": iou,
            "counts": self.counts.tolist(),
        }

    @classmethod
    def from_json(cls, values: dict) -> BoundaryQuality:
        """Raises `KeyError`, `TypeError` or `ValueError` for what `to_json` did not write."""
        counts = np.asarray(values["counts"])
        if counts.ndim != 2 or len(counts) != 3 or counts.dtype.kind != "i":
            raise ValueError(f"expected integers (3, C), got {counts.dtype} {counts.shape}")
        return cls(counts)
