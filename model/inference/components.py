"""Removes specks from label maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def without_small(labels: np.ndarray, least_areas: Sequence[int]) -> np.ndarray:
    """Merges regions that are too small into their largest neighbour.

    A region consists of pixels of one class that touch at their edges. The rule is that of GDAL's
    `gdal_sieve`, repeated until nothing small is left next to something larger.

    Args:
        labels: uint8 (H, W).
        least_areas: for each class, how many pixels a region needs in order to stay.

    Returns: uint8 (H, W).
    """
    labels = labels.copy()
    least = np.zeros(256, np.int64)
    least[: len(least_areas)] = least_areas
    while True:
        starts, lengths = _runs(labels)
        classes = labels.ravel()[starts]
        region, beside = _regions(starts, classes, labels.shape)
        areas = np.bincount(region, lengths).astype(np.int64)
        class_of = np.empty(len(areas), np.uint8)
        class_of[region] = classes
        small = areas < least[class_of]
        heir = _heirs(small, areas, beside)
        if not (class_of[heir] != class_of).any():
            return labels
        labels = np.repeat(class_of[heir][region], lengths).reshape(labels.shape)


def _runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where runs of equal labels begin in the flattened map, no run over two rows; lengths."""
    begins = np.ones(labels.shape, bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=begins[:, 1:])
    starts = np.flatnonzero(begins)
    return starts, np.diff(starts, append=labels.size)


def _regions(
    starts: np.ndarray, classes: np.ndarray, size_hw: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """The region of each run, and pairs (n, 2) of regions that touch."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    height, width = size_hw
    # Wherever a run begins, in a row or in the next, one run lies above another.
    ahead = starts[np.searchsorted(starts, width) :] - width
    columns = np.union1d(starts[: np.searchsorted(starts, (height - 1) * width)], ahead)
    upper = np.searchsorted(starts, columns, "right") - 1
    lower = np.searchsorted(starts, columns + width, "right") - 1
    same = classes[upper] == classes[lower]
    edges = np.ones(same.sum(), bool), (upper[same], lower[same])
    count = len(starts)
    region = connected_components(coo_array(edges, shape=(count, count)), directed=False)[1]
    second = np.flatnonzero(starts % width)  # runs with another one to their left
    pairs = np.concatenate(
        [
            np.stack([region[upper[~same]], region[lower[~same]]], axis=1),
            np.stack([region[second - 1], region[second]], axis=1),
        ]
    )
    return region, pairs


def _heirs(small: np.ndarray, areas: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """For each region the one that it becomes part of: itself, unless it is small."""
    heir = np.arange(len(areas))
    pairs = np.concatenate([beside, beside[:, ::-1]])
    pairs = pairs[small[pairs[:, 0]]]
    # Of equally large ones the later counts as larger: no two can inherit from each other.
    rank = np.empty(len(areas), np.int64)
    rank[np.argsort(areas, kind="stable")] = heir
    pairs = pairs[rank[pairs[:, 1]] > rank[pairs[:, 0]]]
    pairs = pairs[np.argsort(rank[pairs[:, 1]], kind="stable")]
    heir[pairs[:, 0]] = pairs[:, 1]  # of several the last one, the largest, stays
    while (heir[heir] != heir).any():
        heir = heir[heir]
    return heir
