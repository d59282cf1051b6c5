"""Does a model know when it is wrong? Confidence against accuracy, in bins.

Of the pixels to which a calibrated model gives 80 % confidence, 80 % are right. The
expected calibration error (ECE) is the mean distance between the two over all pixels.
Source: C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017: 15 bins of equal
width, the upper end included. Here a case is a pixel, not a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.data.classes import VOID

BINS = 15

LEVELS = int(np.float16(1).view(np.uint16)) + 1
"""How many float16 values lie in [0, 1]. Read as integers, they count up from 0 in order."""


def confidence_counts(
    truth: np.ndarray, prediction: np.ndarray, confidence: np.ndarray
) -> np.ndarray:
    """Counts one picture's pixels by confidence, at the full precision of float16.

    Args:
        truth: uint8 (H, W), class ids or `VOID`.
        prediction: uint8 (H, W), class ids.
        confidence: float16 (H, W) in [0, 1], the probability of the predicted class.

    Returns: int64 (2, LEVELS): pixels that are right, and all. The counts of pictures add up.
    """
    # A histogram over the 15 361 possible values takes a pass of integers; binning floats
    # and summing them per bin would take several, and round.
    levels = np.ascontiguousarray(confidence).view(np.uint16)
    parts = (levels[truth == prediction], levels[truth != VOID])
    return np.stack([np.bincount(part, minlength=LEVELS) for part in parts])


@dataclass(frozen=True)
class Calibration:
    """The reliability curve of a set of pictures, float64 (15,) each.

    Attributes:
        pixels: how many lie in each bin of confidence.
        confidence: their mean confidence in [0, 1], NaN for empty bins.
        accuracy: the share of them that is right, NaN for empty bins.
    """

    pixels: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray) -> Calibration:
        """From the sum of `confidence_counts` of the pictures."""
        right, every = counts
        values = np.arange(LEVELS, dtype=np.uint16).view(np.float16).astype(np.float64)
        bins = np.maximum(np.ceil(values * BINS).astype(int) - 1, 0)
        pixels, hits, sums = (
            np.bincount(bins, weights, minlength=BINS) for weights in (every, right, every * values)
        )
        with np.errstate(invalid="ignore"):
            return cls(pixels, sums / pixels, hits / pixels)

    @property
    def ece(self) -> float:
        """The expected calibration error in [0, 1], NaN if there are no pixels."""
        total = self.pixels.sum()
        if not total:
            return float("nan")
        return float(np.nansum(self.pixels * np.abs(self.accuracy - self.confidence)) / total)

    def to_json(self) -> dict:
        """Plain numbers, NaN as None."""

        def plain(values: np.ndarray) -> list[float | None]:
            return [None if np.isnan(value) else round(float(value), 6) for value in values]

        return {
            "bins": BINS,
            "ece": plain(np.array([self.ece]))[0],
            "pixels": self.pixels.astype(np.int64).tolist(),
            "confidence": plain(self.confidence),
            "accuracy": plain(self.accuracy),
        }

    @classmethod
    def from_json(cls, values: dict) -> Calibration:
        """Raises `KeyError`, `TypeError` or `ValueError` for what `to_json` did not write."""
        # None becomes NaN.
        columns = np.array([values["pixels"], values["confidence"], values["accuracy"]], np.float64)
        if columns.shape != (3, BINS):
            raise ValueError(f"expected {BINS} bins, got {columns.shape}")
        return cls(*columns)
