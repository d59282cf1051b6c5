"""Are small things found? Recall of the truth's objects by their size.

An object is a connected region of one class in the truth (8 neighbours); people who touch
are one object, a car behind a pole may be two. It is found if at least half of its pixels
are predicted as its class. The sizes are COCO's (T.-Y. Lin et al., "Microsoft COCO", ECCV
2014), areas in pixels of the original picture, with the smallest split off: regions under
8 x 8 pixels are often annotation errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EDGES = (8**2, 32**2, 96**2)
"""Areas in pixels at which the next size begins."""

SIZES = ("tiny", "small", "medium", "large")
SIZE_TEXTS = ("under 8 x 8", "8 x 8 to 32 x 32", "32 x 32 to 96 x 96", "from 96 x 96")
"""The areas of the sizes, in words."""

FOUND = 0.5
"""Share of its pixels that makes an object found."""


def object_counts(truth: np.ndarray, prediction: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts one picture's objects by class and size.

    Args:
        truth: uint8 (H, W), class ids or `VOID`.
        prediction: uint8 (H, W), class ids.

    Returns: int64 (2, C, 4): those found, and all. The counts of pictures add up.
    """
    from scipy import ndimage

    counts = np.zeros((2, num_classes, len(SIZES)), np.int64)
    right = truth == prediction
    for label, window in enumerate(ndimage.find_objects(truth.astype(np.int16) + 1, num_classes)):
        if window is None:
            continue
        regions, number = ndimage.label(truth[window] == label, np.ones((3, 3)))
        areas = np.bincount(regions.ravel(), minlength=number + 1)[1:]
        hits = np.bincount(regions[right[window]], minlength=number + 1)[1:]
        sizes = np.searchsorted(EDGES, areas, side="right")
        found = hits >= FOUND * areas
        counts[0, label] = np.bincount(sizes[found], minlength=len(SIZES))
        counts[1, label] = np.bincount(sizes, minlength=len(SIZES))
    return counts


def recall(counts: np.ndarray) -> np.ndarray:
    """Of objects of all sizes together.

    Args: counts: numbers (..., 2, 4), by size those found, and all; whatever is before, such as
        resamples, is kept.
    Returns: float64 (...) in [0, 1], NaN where there is no object.
    """
    sums = counts.sum(-1)
    with np.errstate(invalid="ignore"):
        return sums[..., 0] / sums[..., 1]


@dataclass(frozen=True)
class ObjectRecall:
    """Recall of objects over a set of pictures.

    Attributes:
        counts: int64 (2, C, 4), the sum of `object_counts` of the pictures: found, all.
    """

    counts: np.ndarray

    @property
    def by_size(self) -> np.ndarray:
        """float64 (4,) in [0, 1] over all classes, NaN for sizes that do not occur."""
        found, every = self.counts.sum(1)
        with np.errstate(invalid="ignore"):
            return found / every

    def to_json(self) -> dict:
        recall = [None if np.isnan(value) else round(float(value), 6) for value in self.by_size]
        found, every = self.counts.tolist()
        return {
            "sizes": dict(zip(SIZES, SIZE_TEXTS, strict=True)),
            "recall": dict(zip(SIZES, recall, strict=True)),
            "found": found,
            "all": every,
        }

    @classmethod
    def from_json(cls, values: dict) -> ObjectRecall:
        """Raises `KeyError`, `TypeError` or `ValueError` for what `to_json` did not write."""
        counts = np.asarray([values["found"], values["all"]])
        if counts.ndim != 3 or counts.shape[2] != len(SIZES) or counts.dtype.kind != "i":
            raise ValueError(f"expected integers (2, C, 4), got {counts.dtype} {counts.shape}")
        return cls(counts)
