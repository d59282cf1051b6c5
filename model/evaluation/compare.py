"""Is one checkpoint better than another? Paired statistics over the pictures of a test split.

Both checkpoints saw the same pictures, so they are compared picture by picture: whatever
makes a picture hard for both drops out of the difference. What remains uncertain is the
choice of pictures, and resampling them (the bootstrap) says by how much the mean
difference would move with another choice.

The interval takes the pictures as independent. It holds for these weights, not for
another training of the same network, and is too narrow where pictures resemble each
other, as the frames of a drive do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from model.checkpoints.folder import Checkpoint
from model.errors import ConfigError
from model.evaluation.metrics import Metrics

PER_IMAGE_SCORES = ("mean_iou", "mean_dice", "accuracy")
CONFIDENCE = 0.95
RESAMPLES = 10_000
MOST_DRAWN = 1_000_000
"""Pictures drawn at once: bounds the memory of a bootstrap to about 16 MB."""


@dataclass(frozen=True)
class PairedDifference:
    """The mean over pictures of (first score - second score), with its interval.

    Attributes:
        mean, low, high: in the unit of the scores; `low` <= `mean` <= `high`.
        pictures: how many were compared.
        first_ahead, second_ahead: on how many of them each scored higher.
        confidence: share of the resamples whose mean lies between `low` and `high`.
    """

    mean: float
    low: float
    high: float
    pictures: int
    first_ahead: int
    second_ahead: int
    confidence: float

    @property
    def is_clear(self) -> bool:
        """True if the interval leaves 0 out: the pictures show a difference."""
        return self.low > 0 or self.high < 0


def paired_bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PairedDifference:
    """Percentile bootstrap of the mean paired difference.

    Pictures are drawn with replacement, as many as there are, `resamples` times; the
    interval lies between the (1 - confidence) / 2 quantiles of the resampled means.
    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13.

    Args:
        first, second: float (N,), scores of the same N pictures in the same order.
        confidence: in (0, 1).
        resamples: with 10 000, chance moves the interval's ends by about 1 % of its width.
        seed: the same seed gives the same interval.

    Raises: `ConfigError` for fewer than two pictures, `ValueError` if shapes differ.

    >>> paired_bootstrap(np.array([0.8, 0.7, 0.9]), np.array([0.7, 0.6, 0.8])).first_ahead
    3
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"expected two arrays (N,), got {first.shape} and {second.shape}")
    count = len(first)
    if count < 2:
        raise ConfigError(f"A comparison needs two pictures or more; these share {count}.")
    differences = np.asarray(first, np.float64) - second
    rng = np.random.default_rng(seed)
    means = np.empty(resamples)
    # In portions: all at once would need resamples x pictures numbers.
    portion = max(1, MOST_DRAWN // count)
    for start in range(0, resamples, portion):
        part = means[start : start + portion]
        part[:] = differences[rng.integers(count, size=(len(part), count))].mean(1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return PairedDifference(
        mean=float(differences.mean()),
        low=float(low),
        high=float(high),
        pictures=count,
        first_ahead=int((differences > 0).sum()),
        second_ahead=int((differences < 0).sum()),
        confidence=confidence,
    )


def compare(first: Checkpoint, second: Checkpoint, score: str = "mean_iou") -> PairedDifference:
    """Compares two checkpoints on the pictures of the test split that both have scores for.

    Args: score: one of `PER_IMAGE_SCORES`.
    Raises: `ConfigError` if they cannot be compared, saying why.
    """
    reasons = mismatches(first, second)
    if reasons:
        raise ConfigError(" ".join(reasons))
    ours, theirs = picture_scores(first, score), picture_scores(second, score)
    for checkpoint, scores in ((first, ours), (second, theirs)):
        if not scores:
            raise ConfigError(f"{checkpoint.name} has no scores of single pictures (yet).")
    names = sorted(ours.keys() & theirs.keys())
    return paired_bootstrap(
        np.array([ours[name] for name in names]), np.array([theirs[name] for name in names])
    )


def mismatches(first: Checkpoint, second: Checkpoint) -> list[str]:
    """Why two checkpoints' figures must not be compared, as sentences; empty if they may."""
    pair = f"{first.name} and {second.name}"
    reasons = []
    if first.classes.names != second.classes.names:
        reasons.append(f"{pair} know different classes.")
    if first.data_name != second.data_name or _differ(first, second, "digest"):
        reasons.append(f"{pair} were scored on different data: equal scores would mean nothing.")
    elif _differ(first, second, "split_digest"):
        reasons.append(f"{pair} were scored on different splits of the data.")
    return reasons


def picture_scores(checkpoint: Checkpoint, score: str = "mean_iou") -> dict[str, float]:
    """Scores in [0, 1] of the test split's pictures by name.

    Pictures without a score (nothing but void in their truth, a half-written row) are left
    out; the result is empty if the checkpoint has not been scored.
    """
    scores = {}
    for row in checkpoint.per_image():
        try:
            value = float(row[score])
        except (KeyError, TypeError, ValueError):
            continue
        if row.get("name") and math.isfinite(value):
            scores[row["name"]] = value
    return scores


def split_metrics(checkpoint: Checkpoint, part: str = "test") -> Metrics | None:
    """The figures of a checkpoint on one part of its split, in float32.

    They follow from the confusion matrix in `metrics.json` alone. None if it has none: the
    run is not finished, or the file is damaged.
    """
    try:
        matrix = np.array(checkpoint.metrics["splits"][part]["f32"]["confusion_matrix"])
    except (KeyError, TypeError, ValueError):
        return None
    size = len(checkpoint.classes)
    if matrix.shape != (size, size) or matrix.dtype.kind != "i":
        return None
    if matrix.min() < 0 or matrix.sum() == 0:
        return None
    return Metrics.of(matrix)


def _differ(first: Checkpoint, second: Checkpoint, key: str) -> bool:
    return _recorded(first, key) != _recorded(second, key)


def _recorded(checkpoint: Checkpoint, key: str) -> str | None:
    return checkpoint.description.get("data", {}).get(key)
