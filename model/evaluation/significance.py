"""Would another choice of pictures have said the same? Paired resampling of pooled scores.

A pooled score, such as mean IoU, is not a mean of per-picture scores. But it follows from
counts that add up over pictures, so it can be computed for any subset: pictures are resampled,
their counts summed, and the score computed from the sums. Both models are always given the same
pictures, so whatever makes a picture hard for both drops out of their difference.

What is resampled are units: pictures if they are independent, else blocks of neighbours (see
`blocks`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist

import numpy as np

from model.errors import ConfigError

CONFIDENCE = 0.95
RESAMPLES = 10_000
FEWEST_UNITS = 2
FEWEST_BLOCKS = 5
"""Blocks are not made longer than this many of them allow."""

MOST_DRAWN = 1_000_000
"""Units drawn at once: bounds the memory of a bootstrap to about 16 MB."""

RESAMPLES_AT_ONCE = 500
"""Their sums stay in the processor's cache: all at once take nearly twice as long."""

Statistic = Callable[[np.ndarray], np.ndarray]
"""From sums of counts, float64 (R, K), to scores, float64 (R,) or (R, S)."""


def resampled(
    counts: np.ndarray, statistic: Statistic, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """A pooled score over resampled units: its bootstrap distribution.

    Units are drawn with replacement, as many as there are. Source: B. Efron, R. Tibshirani,
    "An Introduction to the Bootstrap", 1993, chapters 8 and 13.

    Args:
        counts: (M, K), of the M units.
        seed: the same seed gives the same draws.

    Returns: float64 (R,) or (R, S), depending on the statistic.
    """
    rng = np.random.default_rng(seed)
    count = len(counts)
    counts = counts.astype(np.float64)
    parts = []
    for size in _portions(resamples, count):
        drawn = rng.integers(count, size=(size, count)) + np.arange(size)[:, None] * count
        weights = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        parts.append(statistic(weights.astype(np.float64) @ counts))
    return np.concatenate(parts)


def bootstrap(
    first: np.ndarray,
    second: np.ndarray,
    statistic: Statistic,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Differences of a pooled score, first less second, over resampled units.

    Args:
        first, second: (M, K), the counts of the same M units in the same order.
        others, returns: as `resampled`.
    """
    return resampled(
        np.concatenate([first, second], 1),
        lambda sums: _difference(sums, statistic),
        resamples=resamples,
        seed=seed,
    )


def permutation(
    first: np.ndarray,
    second: np.ndarray,
    statistic: Statistic,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> np.ndarray:
    """Differences of a pooled score if the models' names meant nothing.

    In each unit the two models' counts are swapped or not, by the toss of a coin: this is
    the paired permutation test, which for a mean of differences flips their signs. Source:
    P. Good, "Permutation, Parametric and Bootstrap Tests of Hypotheses", 2005, chapter 3.

    Args, returns: as `bootstrap`.
    """
    rng = np.random.default_rng(seed)
    first, second = first.astype(np.float64), second.astype(np.float64)
    total, gap = np.concatenate([first, second], 1).sum(0), second - first
    parts = []
    for size in _portions(resamples, len(first)):
        swapped = rng.integers(0, 2, size=(size, len(first))).astype(np.float64)
        moved = swapped @ gap
        parts.append(_difference(total + np.concatenate([moved, -moved], 1), statistic))
    return np.concatenate(parts)


def interval(values: np.ndarray, units: int) -> tuple[np.ndarray, np.ndarray]:
    """The ends of the expanded percentile interval of bootstrapped values, at `CONFIDENCE`.

    Plain percentiles are too narrow for few units: they take the spread of M units as if their
    mean were known, and a normal distribution instead of Student's. Expanded ones are wider by
    just that. Source: T. Hesterberg, "What Teachers Should Know About the Bootstrap", The
    American Statistician 69 (2015), section 5.3.

    Args:
        values: float (R,) or (R, S); NaN (a class that a resample left out) is ignored.
        units: M, how many there were to draw from.

    Returns: low and high, each a number or (S,); NaN where there is nothing but NaN.
    """
    from scipy import stats

    quantile = stats.t.ppf((1 - CONFIDENCE) / 2, units - 1) * math.sqrt(units / (units - 1))
    tail = NormalDist().cdf(quantile)
    empty = np.isnan(values).all(0)
    low, high = np.nanquantile(np.where(empty, 0, values), [tail, 1 - tail], axis=0)
    return np.where(empty, np.nan, low), np.where(empty, np.nan, high)


def p_value(observed: float, permuted: np.ndarray) -> float:
    """How often chance alone gives a difference as large, in either direction.

    The observed order counts as one of the permutations, so that no finite number of them
    gives 0. Source: B. Phipson, G. Smyth, "Permutation P-values Should Never Be Zero",
    Statistical Applications in Genetics and Molecular Biology 9 (2010).
    """
    # Sums of the same counts in another order may differ in the last bit.
    as_large = np.abs(permuted) >= abs(observed) - 1e-12
    return float((1 + as_large.sum()) / (1 + len(permuted)))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values of several tests, adjusted to bound the error rate of all of them together.

    Source: S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian
    Journal of Statistics 6 (1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def blocks(sequences: Sequence[str], differences: np.ndarray) -> tuple[np.ndarray, int]:
    """Puts neighbours that resemble each other into blocks, which are then resampled as one.

    The difference between two models is much the same on consecutive frames. A block is as long
    as it takes for the correlation to fade: for a series of N with correlation r between
    neighbours (2 r / (1 - r^2))^(2/3) N^(1/3), which gives the best estimate of the variance of
    its mean. Source: E. Carlstein, "The Use of Subseries Values for Estimating
    the Variance of a General Statistic from a Stationary Sequence", Annals of Statistics 14
    (1986). Blocks do not reach beyond a sequence.

    Args:
        sequences: of each picture, in the order of the video; "" for a picture on its own.
        differences: float (N,), one model's score less the other's.

    Returns: the block of each picture, int (N,) counting up from 0, and the length that was
        aimed at; 1 where every picture is its own.
    """
    count = len(sequences)
    centred = differences - differences.mean() if count else differences
    together = np.array([bool(a) and a == b for a, b in itertools.pairwise(sequences)], bool)
    length = 1
    power = (centred**2).sum()
    if together.any() and power > 0:
        # Mean product of neighbours over mean square: few neighbours must not look uncorrelated.
        products = (centred[:-1] * centred[1:])[together].mean()
        r = min(float(products / (power / count)), 0.95)
        if r > 0:
            length = max(1, round((2 * r / (1 - r * r)) ** (2 / 3) * count ** (1 / 3)))
            length = min(length, max(1, count // FEWEST_BLOCKS))
    starts, inside = [], 0
    for i in range(count):
        inside = inside + 1 if i and together[i - 1] and inside < length else 1
        starts.append(inside == 1)
    return np.cumsum(starts) - 1, length


def sum_units(counts: np.ndarray, unit_of: np.ndarray) -> np.ndarray:
    """Adds up the counts of the pictures of each unit. (N, K), int (N,) -> (M, K)."""
    if not len(unit_of):
        return counts
    starts = np.flatnonzero(np.diff(unit_of, prepend=-1))
    return np.add.reduceat(counts, starts, axis=0)


def check_units(first: np.ndarray, second: np.ndarray) -> None:
    """Raises `ConfigError` for fewer than two units, `ValueError` if shapes differ."""
    if first.shape != second.shape or first.ndim != 2:
        raise ValueError(f"expected two arrays (M, K), got {first.shape} and {second.shape}")
    if len(first) < FEWEST_UNITS:
        raise ConfigError(
            f"A comparison needs two pictures or more that differ; these share {len(first)}."
        )


def _difference(sums: np.ndarray, statistic: Statistic) -> np.ndarray:
    width = sums.shape[1] // 2
    return statistic(sums[:, :width]) - statistic(sums[:, width:])


def _portions(resamples: int, units: int) -> Iterator[int]:
    """How many resamples to draw together; it does not change what is drawn."""
    portion = min(RESAMPLES_AT_ONCE, max(1, MOST_DRAWN // units))
    for start in range(0, resamples, portion):
        yield min(portion, resamples - start)
