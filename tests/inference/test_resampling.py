"""Logits to labels at the picture's size, against torch's own interpolation."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.inference import resampling
from model.inference.resampling import labels_from_logits


def reference(logits: np.ndarray, size_hw) -> torch.Tensor:
    """Probabilities (C, H, W) by torch, in float64."""
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None].double(), size=size_hw, mode="bilinear", align_corners=False
    )
    return scaled[0].softmax(0)


def check(logits: np.ndarray, size_hw) -> None:
    labels, confidence = labels_from_logits(logits, size_hw, confidence=True)
    assert labels.shape == confidence.shape == tuple(size_hw)
    assert labels.dtype == np.uint8
    assert confidence.dtype == np.float16
    probabilities = reference(logits, size_hw)
    best = probabilities.max(0).values.numpy()
    # Equal up to ties: what we chose is as probable as the most probable.
    chosen = probabilities.gather(0, torch.from_numpy(labels).long()[None])[0].numpy()
    assert np.abs(chosen - best).max() < 1e-5
    assert np.abs(confidence - best).max() < 1e-3  # float16


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
def test_labels_and_confidence_are_those_of_torch(classes, source, size):
    logits = np.random.default_rng(0).normal(0, 3, (classes, *source)).astype(np.float32)
    check(logits, size)


@given(
    st.integers(0, 2**32 - 1),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.tuples(st.integers(1, 150), st.integers(1, 150)),
)
def test_any_size_to_any_size_is_that_of_torch(seed, source, size):
    check(np.random.default_rng(seed).normal(0, 3, (3, *source)).astype(np.float32), size)


def test_bands_do_not_show(monkeypatch):
    logits = np.random.default_rng(0).normal(0, 3, (4, 30, 20)).astype(np.float32)
    whole = labels_from_logits(logits, (200, 90), confidence=True)
    for rows in (1, 7, 64, 199, 200, 1000):
        monkeypatch.setattr(resampling, "BAND_ROWS", rows)
        banded = labels_from_logits(logits, (200, 90), confidence=True)
        assert np.array_equal(banded[0], whole[0])
        assert np.array_equal(banded[1], whole[1])


def test_confidence_is_given_only_when_asked_for():
    assert labels_from_logits(np.zeros((2, 3, 3), np.float32), (5, 5))[1] is None


def test_confidence_lies_between_chance_and_one():
    logits = np.zeros((4, 2, 2), np.float32)
    logits[2, 0, 0] = 1000
    labels, confidence = labels_from_logits(logits, (2, 2), confidence=True)
    assert labels[0, 0] == 2
    assert confidence.tolist() == [[1, 0.25], [0.25, 0.25]]


def test_logits_are_not_changed():
    logits = np.random.default_rng(0).normal(0, 3, (3, 8, 8)).astype(np.float32)
    before = logits.copy()
    for size in ((8, 8), (8, 16), (16, 8), (20, 20)):
        labels_from_logits(logits, size, confidence=True)
    assert np.array_equal(logits, before)
