"""Logits at the network's size to labels at the picture's size."""

from __future__ import annotations

import numpy as np

BAND_ROWS = 64
"""Output rows in flight: memory does not grow with the picture beyond its label map."""


def labels_from_logits(
    logits: np.ndarray, size_hw: tuple[int, int], *, confidence: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Scales logits bilinearly (half-pixel centres) and takes the most probable class.

    Args:
        logits: float32 (C, h, w).
        size_hw: height and width of the result.
        confidence: also return the softmax probability of the chosen class.

    Returns: labels uint8 (H, W), and confidence float16 (H, W) in [0, 1] or None.
    """
    height, width = size_hw
    columns = _lerp_axis(logits, width, axis=2)  # (C, h, W)
    low, high, weight = _positions(columns.shape[1], height)
    labels = np.empty((height, width), np.uint8)
    certainty = np.empty((height, width), np.float16) if confidence else None
    for start in range(0, height, BAND_ROWS):
        rows = slice(start, min(start + BAND_ROWS, height))
        band = columns[:, low[rows]]
        if height != columns.shape[1]:
            band = band + weight[rows, None] * (columns[:, high[rows]] - band)
        best = band[0].copy()
        labels[rows] = 0
        # A running maximum over classes: argmax over the first axis is several times slower.
        for label in range(1, len(band)):
            better = band[label] > best
            labels[rows][better] = label
            np.maximum(best, band[label], out=best)
        if certainty is not None:
            certainty[rows] = 1 / np.exp(band - best).sum(0)
    return labels, certainty


def _lerp_axis(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    if values.shape[axis] == size:
        return values
    low, high, weight = _positions(values.shape[axis], size)
    below = values.take(low, axis)
    return below + weight * (values.take(high, axis) - below)


def _positions(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each target pixel the two source pixels around its centre and the upper's weight."""
    centre = (np.arange(target, dtype=np.float64) + 0.5) * source / target - 0.5
    centre = centre.clip(0, source - 1)
    low = np.floor(centre).astype(np.intp)
    high = np.minimum(low + 1, source - 1)
    return low, high, (centre - low).astype(np.float32)
