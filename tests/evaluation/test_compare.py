"""Comparisons of whole checkpoints: hand-made counts, damaged files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.checkpoints.folder import PER_IMAGE_FILE, Checkpoint
from model.data.classes import ClassTable
from model.data.preprocessing import Preprocessing
from model.errors import ConfigError
from model.evaluation.compare import (
    Difference,
    Sureness,
    cautions,
    compare,
    mismatches,
    recorded,
    recorded_protocol,
    split_metrics,
)
from model.evaluation.metrics import Metrics
from model.evaluation.pictures import Pictures, read_pictures
from model.words import CLASS_FIGURES

CLASSES = ClassTable.named(road="#804080", sky="#4682B4")


def make(
    path: Path,
    *,
    classes: ClassTable = CLASSES,
    side: int = 64,
    data: dict | None = None,
    training: dict | None = None,
    metrics: dict | None = None,
) -> Checkpoint:
    """A checkpoint that consists of its description."""
    path.mkdir()
    description = {
        "data": {"name": "toy", "digest": "d", "split_digest": "s"} | (data or {}),
        "training": training or {},
    }
    return Checkpoint(path.name, path, {}, classes, Preprocessing(side), description, metrics or {})


def row(name: str, matrix: np.ndarray, sequence: str = "") -> dict[str, object]:
    """A row as `evaluate` writes it, without contours and objects."""
    own = Metrics.of(matrix)
    return {
        "name": name,
        "mean_iou": own.mean_iou,
        "mean_dice": own.mean_dice,
        "accuracy": own.accuracy,
        "sequence": sequence,
        "hits": " ".join(map(str, np.diag(matrix))),
        "truth": " ".join(map(str, matrix.sum(1))),
        "predicted": " ".join(map(str, matrix.sum(0))),
    }


def matrices(seed: int, skill: float, count: int = 30) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        right = rng.binomial(100, skill, 2)
        found.append(np.array([[right[0], 100 - right[0]], [100 - right[1], right[1]]]))
    return found


def pictures(some: list[np.ndarray], sequence: str = "") -> Pictures:
    rows = [row(f"{i:03d}", matrix, sequence) for i, matrix in enumerate(some)]
    return read_pictures(rows, 2)


def test_scores_are_the_pooled_ones():
    """As the confusion matrix of the whole set has them, and not means over pictures."""
    better, worse = matrices(0, 0.9), matrices(1, 0.7)
    found = compare(pictures(better), pictures(worse), resamples=500)
    ours, theirs = Metrics.of(sum(better)), Metrics.of(sum(worse))
    for name in ("mean_iou", "mean_dice", "accuracy"):
        one = found.differences[name]
        assert (one.first, one.second) == pytest.approx(
            (getattr(ours, name), getattr(theirs, name))
        )
        assert one.low < one.gap < one.high
        assert one.sureness is Sureness.CLEAR
    assert found.pooled
    assert (found.pictures, found.units, found.block_length) == (30, 30, 1)
    ahead = [
        Metrics.of(a).mean_iou > Metrics.of(b).mean_iou for a, b in zip(better, worse, strict=True)
    ]
    assert found.first_ahead == sum(ahead)


@pytest.mark.parametrize(
    ("low", "high", "p", "sureness"),
    [
        (0.01, 0.20, 0.05, Sureness.CLEAR),
        (-0.20, -0.01, 0.05, Sureness.CLEAR),
        (0.01, 0.20, 0.06, Sureness.PROBABLE),
        (-0.01, 0.20, 0.05, Sureness.PROBABLE),
        (-0.01, 0.20, 0.06, Sureness.NOT_SHOWN),
        (0.0, 0.0, 1.0, Sureness.NOT_SHOWN),
    ],
)
def test_what_interval_and_test_say_together(low, high, p, sureness):
    assert Difference("mean_iou", 0.6, 0.5, low, high, p).sureness is sureness


def test_every_class_has_an_interval_around_its_difference():
    better, worse = matrices(0, 0.9), matrices(1, 0.7)
    found = compare(pictures(better), pictures(worse), resamples=500)
    for figure in CLASS_FIGURES:
        gap = getattr(Metrics.of(sum(better)), figure) - getattr(Metrics.of(sum(worse)), figure)
        low, high = found.class_intervals[figure]
        assert ((low < gap) & (gap < high)).all()


def test_pictures_are_matched_by_name():
    """Order does not count, and pictures that only one has are left out."""
    some = matrices(4, 0.8, 5)
    whole = pictures(some)
    rows = [row(f"{i:03d}", matrix) for i, matrix in reversed(list(enumerate(some)))]
    rows.append(row("only", some[0]))
    found = compare(whole, read_pictures(rows, 2), resamples=50)
    assert found.pictures == 5
    assert found.differences["mean_iou"].gap == 0
    assert found.differences["mean_iou"].p == 1


def test_frames_that_resemble_each_other_are_drawn_in_blocks():
    slow = np.repeat(np.linspace(0.6, 0.9, 6), 10)
    rng = np.random.default_rng(5)
    first = [np.array([[100, 0], [0, 100]])] * 60
    second = []
    for skill in slow:
        right = rng.binomial(100, skill, 2)
        second.append(np.array([[right[0], 100 - right[0]], [100 - right[1], right[1]]]))
    alone = compare(pictures(first), pictures(second), resamples=500)
    film = compare(pictures(first, "1"), pictures(second, "1"), resamples=500)
    assert film.block_length > 1
    assert film.units < 60
    widths = [c.differences["mean_iou"].high - c.differences["mean_iou"].low for c in (film, alone)]
    assert widths[0] > 1.2 * widths[1]


def test_checkpoints_without_counts_are_compared_by_the_means_of_pictures():
    """As `per_image.csv` was before it held counts."""
    rows = [
        {"name": str(i), "mean_iou": 0.1 * i, "mean_dice": 0.5, "accuracy": 1} for i in range(9)
    ]
    lower = [{**one, "mean_iou": one["mean_iou"] - 0.1} for one in rows]
    found = compare(read_pictures(rows, 2), read_pictures(lower, 2), resamples=50)
    assert not found.pooled
    assert found.differences["mean_iou"].gap == pytest.approx(0.1)
    assert found.differences["mean_dice"].gap == 0
    assert not found.class_intervals


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_are_refused(count):
    some = pictures(matrices(6, 0.8, 3)).only([f"{i:03d}" for i in range(count)])
    with pytest.raises(ConfigError, match="two pictures"):
        compare(some, some)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data": {"name": "other"}}, "different data"),
        ({"data": {"digest": "e"}}, "different data"),
        ({"data": {"split_digest": "t"}}, "different splits"),
        ({"classes": ClassTable.named(sky="#4682B4", road="#804080")}, "different classes"),
    ],
)
def test_what_must_not_be_compared_is_named(tmp_path, change, reason):
    first, second = make(tmp_path / "a"), make(tmp_path / "b", **change)
    (found,) = mismatches(("A", "B"), recorded_protocol(first), recorded_protocol(second))
    assert found.startswith("A and B")
    assert reason in found
    assert not mismatches(("A", "A"), recorded_protocol(first), recorded_protocol(first))


def test_scores_at_another_resolution_are_not_compared(tmp_path):
    figures = {"mean_iou": 0.5, "mean_dice": 0.5, "accuracy": 0.5, "num_images": 3}
    protocols = [
        recorded_protocol(
            make(
                tmp_path / name,
                metrics={"splits": {"test": {"f32": figures | {"resolution": resolution}}}},
            )
        )
        for name, resolution in (("a", "original"), ("b", "256"))
    ]
    (found,) = mismatches(("A", "B"), *protocols)
    assert "different resolutions: original and 256" in found


def test_what_else_differs_is_said(tmp_path):
    first = make(tmp_path / "a", training={"limit": 40})
    second = make(tmp_path / "b", side=128)
    sizes, limits = cautions(("A", "B"), first, second)
    assert "A sees pictures at 64 pixels, B at 128 pixels" in sizes
    assert "A from 40, B from all" in limits
    assert cautions(("A", "A"), first, first) == []


def test_longer_training_and_known_validation_pictures_are_said(tmp_path):
    sizes = {"data": {"split_sizes": {"train": 100}}}
    first = make(tmp_path / "a", training={"epochs_done": 12}, **sizes)
    longer = {"epochs_done": 4, "pictures_per_epoch": 640, "include_validation": True}
    second = make(tmp_path / "b", training=longer, **sizes)
    known, lengths = cautions(("A", "B"), first, second)
    assert known == "B has learned from the validation pictures too."
    assert "A saw 1,200 pictures, B 2,560, repeats included." in lengths


def test_settings_that_a_fair_pair_shares_are_compared(tmp_path):
    first = make(tmp_path / "a", training={"loss": "ce", "lr": 0.1, "crop": 64, "network": "unet"})
    second = make(tmp_path / "b", training={"loss": "ce", "lr": 0.2, "crop": 96, "network": "x"})
    assert cautions(("A", "B"), first, second) == ["Their training settings differ in lr, crop."]
    older = make(tmp_path / "c", training={"loss": "ce", "lr": 0.1})
    (said,) = cautions(("A", "C"), first, older)
    assert said.startswith("C was trained by an earlier version of this program")


def test_what_a_checkpoint_has_recorded(tmp_path):
    matrix = np.array([[6, 2], [1, 11]])
    stored = Metrics.of(matrix).to_json() | {"num_images": 1, "boundary": {"counts": "gone"}}
    checkpoint = make(tmp_path / "a", metrics={"splits": {"test": {"f32": stored}}})
    header = "name,mean_iou,mean_dice,accuracy\n"
    (checkpoint.path / PER_IMAGE_FILE).write_text(header + "x,0.5,0.6,0.7\ny,0.4\nz")
    found = recorded(checkpoint)
    assert found.metrics.mean_iou == pytest.approx((6 / 9 + 11 / 14) / 2)
    assert found.metrics.mean_iou == pytest.approx(stored["mean_iou"], abs=1e-6)
    assert found.protocol.pictures == 1
    assert found.pictures.names == ["x"]  # the others are half-written
    assert found.boundary is found.calibration is found.objects is None


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
    checkpoint = make(tmp_path / "a", metrics=metrics)
    assert split_metrics(checkpoint) is None
    assert recorded(checkpoint) is None


def test_no_metrics_are_none(tmp_path):
    assert recorded(make(tmp_path / "a")) is None
    assert recorded(make(tmp_path / "b", metrics={"splits": ["odd"]})) is None
