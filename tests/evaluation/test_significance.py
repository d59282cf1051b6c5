"""The resampling against simulated splits with a known difference, scipy, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from model.errors import ConfigError
from model.evaluation import significance
from model.evaluation.metrics import class_iou, mean_of_known
from model.evaluation.significance import (
    blocks,
    bootstrap,
    holm,
    interval,
    p_value,
    permutation,
    sum_units,
)

CLASSES, PIXELS = 3, 400


def mean_iou(sums: np.ndarray) -> np.ndarray:
    return mean_of_known(class_iou(sums.reshape(*sums.shape[:-1], 3, -1)))


def mean(sums: np.ndarray) -> np.ndarray:
    """Of columns value, 1."""
    return sums[:, 0] / sums[:, 1]


def valued(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones_like(values)], 1)


def simulate(rng: np.random.Generator, pictures: int, skills: tuple[float, float]):
    """Counts (N, 9) of two models on pictures of their own mixture of classes and difficulty.

    A model is right on a share of a picture's pixels: its skill, changed by the picture's
    difficulty, which both share, and by a slip of its own. What is wrong goes to the next class.
    """
    mixture = rng.dirichlet([2.0, 1.0, 0.4], pictures)
    difficulty = rng.normal(0, 0.8, (pictures, 1))
    models = []
    for skill in skills:
        logit = np.log(skill / (1 - skill)) + difficulty + rng.normal(0, 0.4, (pictures, CLASSES))
        truth = np.rint(mixture * PIXELS)
        hits = np.rint(truth / (1 + np.exp(-logit)))
        wrong = truth - hits
        predicted = hits + np.roll(wrong, 1, axis=1)
        models.append(np.concatenate([hits, truth, predicted], 1).astype(np.int64))
    return models


def test_bootstrap_against_scipy():
    """scipy draws the pictures, by their numbers; the pooled score is taken of what it drew."""
    first, second = simulate(np.random.default_rng(0), 60, (0.8, 0.7))

    def difference(drawn: np.ndarray, axis: int) -> np.ndarray:
        return mean_iou(first[drawn].sum(axis - 1)) - mean_iou(second[drawn].sum(axis - 1))

    reference = stats.bootstrap(
        (np.arange(60),), difference, vectorized=True, method="percentile", n_resamples=10_000,
        batch=500, rng=np.random.default_rng(1),
    )  # fmt: skip
    low, high = np.quantile(bootstrap(first, second, mean_iou), [0.025, 0.975])
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert low == pytest.approx(reference.confidence_interval.low, abs=0.04 * width)
    assert high == pytest.approx(reference.confidence_interval.high, abs=0.04 * width)


def test_permutation_against_scipy_on_every_permutation():
    """Of ten pictures there are 1024 ways to change places: scipy goes through all of them."""
    first, second = simulate(np.random.default_rng(2), 10, (0.75, 0.7))
    counts = np.concatenate([first, second])

    def difference(ours: np.ndarray, theirs: np.ndarray, axis: int) -> np.ndarray:
        return mean_iou(counts[ours].sum(axis - 1)) - mean_iou(counts[theirs].sum(axis - 1))

    reference = stats.permutation_test(
        (np.arange(10), np.arange(10, 20)), difference, permutation_type="samples",
        vectorized=True, n_resamples=np.inf, alternative="two-sided",
    )  # fmt: skip
    observed = mean_iou(first.sum(0)) - mean_iou(second.sum(0))
    assert reference.statistic == pytest.approx(observed)
    ours = p_value(observed, permutation(first, second, mean_iou, resamples=40_000))
    assert ours == pytest.approx(reference.pvalue, abs=0.01)


def test_interval_of_a_mean_is_students():
    """Expanded percentiles of the bootstrap of a mean come out as the t interval."""
    values = np.random.default_rng(3).normal(0.1, 0.2, 20)
    drawn = bootstrap(valued(values), valued(np.zeros(20)), mean, resamples=40_000)
    reference = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    width = reference.high - reference.low
    assert interval(drawn, 20) == pytest.approx(reference, abs=0.05 * width)


@pytest.mark.parametrize("pictures", [30, 100])
def test_coverage_on_simulated_splits_with_a_known_difference(pictures):
    """The true difference is that of a split of half a million pictures."""
    rng = np.random.default_rng(4)
    skills = (0.80, 0.76)
    whole = [side.sum(0) for side in simulate(rng, 500_000, skills)]
    true = mean_iou(whole[0]) - mean_iou(whole[1])
    trials = 1000
    held = 0
    for seed in range(trials):
        first, second = simulate(rng, pictures, skills)
        drawn = bootstrap(first, second, mean_iou, resamples=1000, seed=seed)
        low, high = interval(drawn, pictures)
        held += low <= true <= high
    assert 0.93 <= held / trials <= 0.97


@pytest.mark.parametrize("pictures", [12, 20, 100])
def test_false_positives_on_equally_good_models(pictures):
    """At most 6 % of the tests, 7 % of the intervals (of few pictures), 6 % of both together, which
    is called clear, and 8 % of at least one, which is called probable."""
    rng = np.random.default_rng(5)
    trials = 1000
    by_interval = by_test = by_both = by_one = 0
    for seed in range(trials):
        first, second = simulate(rng, pictures, (0.78, 0.78))
        low, high = interval(bootstrap(first, second, mean_iou, resamples=500, seed=seed), pictures)
        observed = mean_iou(first.sum(0)) - mean_iou(second.sum(0))
        permuted = permutation(first, second, mean_iou, resamples=500, seed=seed)
        excluded, small = low > 0 or high < 0, p_value(observed, permuted) <= 0.05
        by_interval += excluded
        by_test += small
        by_both += excluded and small
        by_one += excluded or small
    assert max(by_test, by_both) / trials <= 0.06
    assert by_interval / trials <= (0.06 if pictures >= 20 else 0.07)
    assert by_one / trials <= 0.08
    assert by_both / trials >= 0.02  # it does not just never say so


def film(rng: np.random.Generator, length: int, correlation: float, gap: float) -> np.ndarray:
    """Differences of a first-order autoregressive series around `gap`, spread 1."""
    noise = rng.normal(0, np.sqrt(1 - correlation**2), length)
    noise[0] = rng.normal()
    for i in range(1, length):
        noise[i] += correlation * noise[i - 1]
    return gap + noise


def test_blocks_mend_most_of_what_neighbours_break():
    """Frames of six stretches that resemble their neighbours: pictures taken as independent
    give an interval that misses the truth in every third film; blocks bring it back."""
    rng = np.random.default_rng(6)
    trials, held = 400, {"pictures": 0, "blocks": 0}
    sequences = [str(i) for i in range(6) for _ in range(18)]
    for seed in range(trials):
        series = np.concatenate([film(rng, 18, 0.6, 0.5) for _ in range(6)])
        unit_of, _ = blocks(sequences, series)
        for name, units in (("pictures", np.arange(108)), ("blocks", unit_of)):
            ours, theirs = (sum_units(valued(v), units) for v in (series, 0 * series))
            drawn = bootstrap(ours, theirs, mean, resamples=500, seed=seed)
            low, high = interval(drawn, len(ours))
            held[name] += low <= 0.5 <= high
    assert held["pictures"] / trials < 0.80
    assert held["blocks"] / trials > 0.89


def test_blocks_of_unrelated_neighbours_are_pictures():
    rng = np.random.default_rng(7)
    lengths = [blocks(["film"] * 100, rng.normal(size=100))[1] for _ in range(50)]
    assert np.mean(lengths) < 2


def test_blocks_stay_within_their_sequence():
    series = film(np.random.default_rng(8), 40, 0.9, 0)
    unit_of, length = blocks(["a"] * 20 + ["b"] * 20, series)
    assert 1 < length <= 8
    assert unit_of[0] == 0
    assert (np.diff(unit_of) >= 0).all()
    assert unit_of[20] != unit_of[19]
    assert np.bincount(unit_of).max() == length


def test_pictures_on_their_own_are_never_put_together():
    series = film(np.random.default_rng(9), 40, 0.9, 0)
    unit_of, length = blocks([""] * 40, series)
    assert length == 1
    assert unit_of.tolist() == list(range(40))
    assert blocks([], np.zeros(0))[1] == 1


def test_units_add_up():
    counts = np.arange(10).reshape(5, 2)
    assert sum_units(counts, np.array([0, 0, 1, 1, 1])).tolist() == [[2, 4], [18, 21]]


def test_equal_models_show_nothing():
    first, _ = simulate(np.random.default_rng(10), 20, (0.8, 0.8))
    drawn = bootstrap(first, first, mean_iou, resamples=100)
    assert not drawn.any()
    assert p_value(0.0, permutation(first, first, mean_iou, resamples=100)) == 1


def test_a_p_value_is_never_zero():
    assert p_value(1.0, np.zeros(99)) == 0.01


def test_order_of_models_mirrors_everything():
    first, second = simulate(np.random.default_rng(11), 20, (0.8, 0.7))
    there, back = (bootstrap(*pair, mean_iou, resamples=50) for pair in
                   ((first, second), (second, first)))  # fmt: skip
    assert there == pytest.approx(-back)


def test_portions_do_not_change_the_result(monkeypatch):
    first, second = simulate(np.random.default_rng(12), 30, (0.8, 0.7))
    whole = [f(first, second, mean_iou, resamples=100) for f in (bootstrap, permutation)]
    monkeypatch.setattr(significance, "MOST_DRAWN", 100)
    parts = [f(first, second, mean_iou, resamples=100) for f in (bootstrap, permutation)]
    assert np.array_equal(whole, parts)


def test_classes_that_no_resample_has_have_no_interval():
    values = np.array([[0.1, np.nan], [0.2, np.nan], [0.3, np.nan]])
    low, high = interval(values, 10)
    assert low[0] <= high[0]
    assert np.isnan([low[1], high[1]]).all()


def test_holm_raises_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_units_are_refused(count):
    with pytest.raises(ConfigError, match="two pictures"):
        significance.check_units(np.zeros((count, 3)), np.zeros((count, 3)))


def test_different_shapes_are_a_programming_error():
    with pytest.raises(ValueError, match="two arrays"):
        significance.check_units(np.zeros((3, 2)), np.zeros((4, 2)))
