"""The paired statistics against simulated data, scipy, and hand-made checkpoints."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from model.checkpoints.folder import PER_IMAGE_FILE, Checkpoint
from model.data.classes import ClassTable
from model.data.preprocessing import Preprocessing
from model.errors import ConfigError
from model.evaluation import compare as module
from model.evaluation.compare import (
    compare,
    mismatches,
    paired_bootstrap,
    picture_scores,
    split_metrics,
)
from model.evaluation.metrics import Metrics

CLASSES = ClassTable.named(road="#804080", sky="#4682B4")


def make(
    path: Path,
    scores: dict[str, float] | None = None,
    *,
    classes: ClassTable = CLASSES,
    data: dict | None = None,
    metrics: dict | None = None,
) -> Checkpoint:
    """A checkpoint that consists of its description and `per_image.csv`."""
    path.mkdir()
    if scores is not None:
        with open(path / PER_IMAGE_FILE, "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["name", "mean_iou"])
            writer.writerows(scores.items())
    data = {"name": "toy", "digest": "d", "split_digest": "s"} | (data or {})
    return Checkpoint(
        path.name, path, {}, classes, Preprocessing(64), {"data": data}, metrics or {}
    )


def test_known_difference():
    """First = second + 0.1 on all pictures but two: everything can be counted by hand."""
    second = np.linspace(0.2, 0.6, 10)
    first = second + 0.1
    first[0], first[1] = second[0], second[1] - 0.1
    result = paired_bootstrap(first, second)
    assert result.mean == pytest.approx((8 * 0.1 - 0.1) / 10)
    assert (result.first_ahead, result.second_ahead, result.pictures) == (8, 1, 10)
    # Resampled means of such differences are multiples of a hundredth.
    assert result.low * 100 == pytest.approx(round(result.low * 100), abs=1e-6)
    assert result.low < result.mean < result.high
    assert result.is_clear


def test_equal_scores_show_no_difference():
    scores = np.random.default_rng(0).random(50)
    result = paired_bootstrap(scores, scores)
    assert (result.mean, result.low, result.high) == (0, 0, 0)
    assert not result.is_clear


def test_order_of_models_mirrors_the_interval():
    rng = np.random.default_rng(1)
    first, second = rng.random(40), rng.random(40)
    there, back = paired_bootstrap(first, second), paired_bootstrap(second, first)
    assert back.mean == pytest.approx(-there.mean)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert (back.first_ahead, back.second_ahead) == (there.second_ahead, there.first_ahead)


def test_pairing_removes_what_pictures_share():
    """A difference far smaller than the spread between pictures is still clear."""
    rng = np.random.default_rng(2)
    difficulty = rng.normal(0.6, 0.2, 80)
    second = difficulty + rng.normal(0, 0.01, 80)
    result = paired_bootstrap(second + 0.01 + rng.normal(0, 0.01, 80), second)
    assert result.is_clear
    assert 0.005 < result.low < result.high < 0.015


def test_against_scipy():
    stats = pytest.importorskip("scipy.stats", reason="scipy is the reference")
    rng = np.random.default_rng(3)
    first, second = rng.beta(5, 2, 60), rng.beta(4, 2, 60)
    ours = paired_bootstrap(first, second, confidence=0.9)
    reference = stats.bootstrap(
        (first, second),
        lambda a, b, axis: (a - b).mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=10_000,
        confidence_level=0.9,
        method="percentile",
        rng=np.random.default_rng(4),
    ).confidence_interval
    width = reference.high - reference.low
    assert ours.low == pytest.approx(reference.low, abs=0.03 * width)
    assert ours.high == pytest.approx(reference.high, abs=0.03 * width)


def test_coverage_and_false_positives():
    """Of 2000 simulated test splits, 95 % of the intervals hold the true difference.

    The differences are skewed, as differences of IoU are. The bootstrap moves with its data,
    so 0 lies in the interval of centred differences as often: the rest are false positives.
    """
    rng = np.random.default_rng(5)
    true_mean, held = 0.03, 0
    for seed in range(2000):
        differences = rng.gamma(4, 0.02, 85) - 0.08 + true_mean
        result = paired_bootstrap(differences, np.zeros(85), resamples=1000, seed=seed)
        held += result.low <= true_mean <= result.high
    assert 0.93 <= held / 2000 <= 0.97
    assert 1 - held / 2000 <= 0.06


def test_portions_do_not_change_the_result(monkeypatch):
    rng = np.random.default_rng(6)
    first, second = rng.random(30), rng.random(30)
    whole = paired_bootstrap(first, second, resamples=1000)
    monkeypatch.setattr(module, "MOST_DRAWN", 100)
    assert paired_bootstrap(first, second, resamples=1000) == whole


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_are_refused(count):
    with pytest.raises(ConfigError, match="two pictures"):
        paired_bootstrap(np.zeros(count), np.zeros(count))


def test_different_lengths_are_a_programming_error():
    with pytest.raises(ValueError, match="two arrays"):
        paired_bootstrap(np.zeros(3), np.zeros(4))


def test_compare_matches_pictures_by_name(tmp_path):
    """Order in the file does not count; pictures that only one has, or without score, go."""
    first = make(tmp_path / "a", {"x": 0.9, "y": 0.8, "only": 0.1, "void": float("nan")})
    second = make(tmp_path / "b", {"y": 0.5, "x": 0.7, "void": 0.3})
    result = compare(first, second)
    assert result.pictures == 2
    assert result.mean == pytest.approx((0.2 + 0.3) / 2)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": {"name": "other"}}, "different data"),
        ({"data": {"digest": "e"}}, "different data"),
        ({"data": {"split_digest": "t"}}, "different splits"),
        ({"classes": ClassTable.named(sky="#4682B4", road="#804080")}, "different classes"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, change, reason):
    first = make(tmp_path / "a", {"x": 0.9, "y": 0.8})
    second = make(tmp_path / "b", {"x": 0.9, "y": 0.8}, **change)
    assert len(mismatches(first, second)) == 1
    with pytest.raises(ConfigError, match=f"a and b .*{reason}"):
        compare(first, second)


def test_missing_scores_are_named(tmp_path):
    first, second = make(tmp_path / "a", {"x": 0.9}), make(tmp_path / "b")
    with pytest.raises(ConfigError, match="b has no scores"):
        compare(first, second)


def test_half_written_rows_are_left_out(tmp_path):
    checkpoint = make(tmp_path / "a", {"x": 0.5})
    with open(checkpoint.path / PER_IMAGE_FILE, "a") as file:
        file.write("y,0.4\nz")
    assert picture_scores(checkpoint) == {"x": 0.5, "y": 0.4}
    assert picture_scores(checkpoint, "mean_dice") == {}


def test_split_metrics_follow_from_the_matrix(tmp_path):
    matrix = np.array([[6, 2], [1, 11]])
    stored = Metrics.of(matrix).to_json()
    metrics = {"splits": {"test": {"f32": stored}}}
    found = split_metrics(make(tmp_path / "a", metrics=metrics))
    assert found.mean_iou == pytest.approx((6 / 9 + 11 / 14) / 2)
    assert found.mean_iou == pytest.approx(stored["mean_iou"], abs=1e-6)


@pytest.mark.parametrize(
    "matrix",
    [
        None,
        "gone",
        [[1, 2]],
        [[1, 2], [3]],
        [[1.5, 0], [0, 1]],
        [[-1, 0], [0, 1]],
        [[0, 0], [0, 0]],
    ],
)
def test_damaged_metrics_are_none(tmp_path, matrix):
    metrics = {"splits": {"test": {"f32": {"confusion_matrix": matrix}}}}
    assert split_metrics(make(tmp_path / "a", metrics=metrics)) is None


def test_no_metrics_are_none(tmp_path):
    assert split_metrics(make(tmp_path / "a")) is None
    assert split_metrics(make(tmp_path / "b", metrics={"splits": ["odd"]})) is None
