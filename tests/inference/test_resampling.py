"""Logits to maps at the picture's size, against torch's own interpolation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.inference import resampling
from model.inference.options import SegmentOptions
from model.inference.resampling import Maps, Painter

ALL = SegmentOptions(confidence=True, entropy=True)


def painted(logits: np.ndarray, size_hw, options: SegmentOptions = ALL, cuts=((0,), (0,))) -> Maps:
    """The maps of logits that come in blocks which begin at these rows and columns."""
    maps = Maps.empty(size_hw, options)
    for part in (maps.labels, maps.confidence, maps.entropy):
        if part is not None:
            part[:] = 77  # whatever is not painted is wrong
    painter = Painter(maps, logits.shape[1:])
    rows, columns = (
        list(zip(begins, (*begins[1:], side), strict=True))
        for begins, side in zip(cuts, logits.shape[1:], strict=True)
    )
    for top, bottom in rows:
        for left, right in columns:
            painter.add(top, left, logits[:, top:bottom, left:right])
    return maps


def reference(logits: np.ndarray, size_hw) -> torch.Tensor:
    """Probabilities (C, H, W) by torch, in float64."""
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None].double(), size=size_hw, mode="bilinear", align_corners=False
    )
    return scaled[0].softmax(0)


def check(logits: np.ndarray, size_hw, cuts=((0,), (0,))) -> None:
    maps = painted(logits, size_hw, cuts=cuts)
    assert maps.labels.shape == maps.confidence.shape == maps.entropy.shape == tuple(size_hw)
    assert maps.labels.dtype == np.uint8
    assert maps.confidence.dtype == maps.entropy.dtype == np.float16
    probabilities = reference(logits, size_hw)
    best = probabilities.max(0).values.numpy()
    # Equal up to ties: what we chose is as probable as the most probable.
    chosen = probabilities.gather(0, torch.from_numpy(maps.labels).long()[None])[0].numpy()
    assert np.abs(chosen - best).max() < 1e-5
    assert np.abs(maps.confidence - best).max() < 1e-3  # float16
    entropy = torch.special.entr(probabilities).sum(0).numpy() / np.log(max(len(logits), 2))
    assert np.abs(maps.entropy - entropy).max() < 1e-3


@pytest.mark.parametrize(
    ("source", "size"),
    [
        ((24, 32), (24, 32)),
        ((24, 32), (96, 128)),
        ((24, 32), (75, 100)),
        ((24, 32), (24, 100)),
        ((24, 32), (75, 32)),
        ((64, 64), (10, 7)),
        ((1, 1), (40, 3)),
        ((5, 1), (1, 9)),
        ((32, 24), (300, 200)),
    ],
)
@pytest.mark.parametrize("classes", [1, 2, 7])
def test_labels_confidence_and_entropy_are_those_of_torch(classes, source, size):
    logits = np.random.default_rng(0).normal(0, 3, (classes, *source)).astype(np.float32)
    check(logits, size)


sides = st.tuples(st.integers(1, 20), st.integers(1, 20))
sizes = st.tuples(st.integers(1, 150), st.integers(1, 150))


small = st.tuples(st.integers(1, 60), st.integers(1, 60))


@given(st.integers(0, 2**32 - 1), sides, small, st.integers(10, 2000))
def test_any_size_to_any_size_is_that_of_torch(seed, source, size, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "BLOCK_VALUES", block)
        logits = np.random.default_rng(seed).normal(0, 3, (3, *source)).astype(np.float32)
        check(logits, size)


@given(
    st.integers(0, 2**32 - 1),
    sides,
    sizes,
    st.sets(st.integers(1, 19)),
    st.sets(st.integers(1, 19)),
)
def test_blocks_of_logits_make_the_same_maps(seed, source, size, rows, columns):
    logits = np.random.default_rng(seed).normal(0, 3, (3, *source)).astype(np.float32)
    begins = tuple(
        (0, *sorted(cut for cut in cuts if cut < side))
        for cuts, side in zip((rows, columns), source, strict=True)
    )
    check(logits, size, cuts=begins)


def test_smooth_logits_leave_most_pixels_to_whole_cells():
    """As a network's are; noise hardly has a cell that one class wins."""
    logits = np.random.default_rng(0).normal(0, 3, (5, 3, 4)).astype(np.float32)
    smooth = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None], (60, 80), mode="bicubic"
    )
    logits = smooth[0].numpy()
    cells = resampling._cells(logits.argmax(0).astype(np.uint8))
    assert (cells == resampling.MIXED).mean() < 0.2
    check(logits, (240, 320))
    check(logits, (73, 95))


def test_the_first_of_equal_classes_is_taken():
    assert (painted(np.ones((3, 4, 4), np.float32), (4, 4)).labels == 0).all()
    assert (painted(np.ones((3, 4, 4), np.float32), (9, 7)).labels == 0).all()


@pytest.mark.parametrize("size", [(12, 10), (50, 41)])
@pytest.mark.parametrize("threshold", [0.02, 0.3, 0.5, 0.9])
def test_a_threshold_asks_for_the_second_classs_probability(threshold, size):
    logits = np.random.default_rng(0).normal(0, 2, (2, 12, 10)).astype(np.float32)
    maps = painted(logits, size, SegmentOptions(confidence=True, threshold=threshold))
    first, second = reference(logits, size).numpy()
    clear = np.abs(second - threshold) > 1e-5
    assert np.array_equal(maps.labels[clear], (second > threshold)[clear])
    assert 0 < maps.labels.mean() < 1
    chosen = np.where(maps.labels, second, first)
    assert np.abs(maps.confidence - chosen).max() < 1e-3


def test_maps_are_made_only_when_asked_for():
    maps = painted(np.zeros((2, 3, 3), np.float32), (5, 5), SegmentOptions())
    assert maps.confidence is None
    assert maps.entropy is None


def test_confidence_lies_between_chance_and_one_and_entropy_between_zero_and_one():
    logits = np.zeros((4, 2, 2), np.float32)
    logits[2, 0, 0] = 1000
    maps = painted(logits, (2, 2))
    assert maps.labels[0, 0] == 2
    assert maps.confidence.tolist() == [[1, 0.25], [0.25, 0.25]]
    assert maps.entropy.tolist() == [[0, 1], [1, 1]]


def test_logits_are_not_changed():
    logits = np.random.default_rng(0).normal(0, 3, (2, 8, 8)).astype(np.float32)
    before = logits.copy()
    for size in ((8, 8), (8, 16), (16, 8), (20, 20)):
        painted(logits, size, SegmentOptions(confidence=True, entropy=True, threshold=0.2))
    assert np.array_equal(logits, before)
