"""The interval of one model's pooled figures: it covers, and it is about the pooled figure."""

import numpy as np
import pytest

from model.evaluation.intervals import intervals
from model.evaluation.metrics import Metrics, confusion_matrix
from model.evaluation.pictures import Pictures
from model.words import FIGURES


def pictures(matrices: np.ndarray) -> Pictures:
    """As scored, from confusion matrices int (N, C, C)."""
    pixels = np.stack(
        [np.diagonal(matrices, axis1=1, axis2=2), matrices.sum(2), matrices.sum(1)], 1
    )
    count = len(matrices)
    scores = {"mean_iou": np.array([Metrics.of(m).mean_iou for m in matrices])}
    names = [f"{i:04}" for i in range(count)]
    return Pictures(names, [""] * count, scores, pixels, None, None)


def drawn(rng: np.random.Generator, count: int, classes: int = 3) -> np.ndarray:
    """Confusion matrices of pictures of which some are harder."""
    result = []
    for _ in range(count):
        truth = rng.choice(classes, 400, p=[0.6, 0.3, 0.1])
        wrong = rng.random(400) < rng.beta(2, 6)
        found = np.where(wrong, rng.integers(classes, size=400), truth)
        result.append(confusion_matrix(truth, found, classes))
    return np.array(result)


def test_every_figure_lies_in_its_interval():
    matrices = drawn(np.random.default_rng(0), 60)
    metrics, found = Metrics.of(matrices.sum(0)), intervals(pictures(matrices))
    assert list(found) == list(FIGURES)
    for name, (low, high) in found.items():
        assert 0 <= low < getattr(metrics, name) < high <= 1


def test_the_interval_covers_the_figure_of_the_population():
    rng = np.random.default_rng(1)
    population = Metrics.of(drawn(rng, 20_000).sum(0)).mean_iou
    covered = 0
    for _ in range(200):
        low, high = intervals(pictures(drawn(rng, 25)))["mean_iou"]
        covered += low <= population <= high
    assert 0.90 <= covered / 200 <= 0.99


def test_more_pictures_narrow_it():
    rng = np.random.default_rng(2)
    few, many = (intervals(pictures(drawn(rng, n)))["mean_iou"] for n in (20, 320))
    assert (many[1] - many[0]) < 0.4 * (few[1] - few[0])


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_have_none(count):
    assert intervals(pictures(drawn(np.random.default_rng(3), 2))).keys() == set(FIGURES)
    assert intervals(pictures(drawn(np.random.default_rng(3), 2)).only(["0000"][:count])) == {}
