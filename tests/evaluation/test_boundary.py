"""Boundary IoU against hand-made bands and an erosion per class."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from model.data.classes import VOID
from model.evaluation.boundary import BoundaryQuality, band, band_width, boundary_counts


def halves(column: int, width: int = 20) -> np.ndarray:
    labels = np.zeros((10, width), np.uint8)
    labels[:, column:] = 1
    return labels


def test_band_lies_on_both_sides_of_the_contour_and_not_at_the_border():
    found = band(halves(10), 2)
    assert found[0].tolist() == [8 <= x < 12 for x in range(20)]
    assert (found == found[0]).all()


def test_band_is_the_mask_less_its_erosion():
    """As the paper has it, class by class; the border of the picture erodes nothing."""
    labels = ndimage.zoom(np.random.default_rng(0).integers(0, 4, (6, 8)), 6, order=0)
    labels = labels.astype(np.uint8)
    expected = np.zeros(labels.shape, bool)
    for label in range(4):
        mask = labels == label
        expected |= mask & ~ndimage.binary_erosion(mask, np.ones((5, 5)), border_value=1)
    assert np.array_equal(band(labels, 2), expected)


def test_void_makes_no_contour():
    labels = np.zeros((10, 20), np.uint8)
    labels[:, 8:12] = VOID
    assert not band(labels, 3)[labels != VOID].any()


def test_counts_of_a_shifted_contour():
    """Bands of one pixel at columns 9, 10 and 10, 11: of each class one column in both, 10
    pixels; but no pixel of them is of one class in both."""
    truth, prediction = halves(10), halves(11)
    assert band_width(10, 20) == 1
    both, ours, theirs = boundary_counts(truth, prediction, 3)
    assert ours.tolist() == theirs.tolist() == [10, 10, 0]
    assert both.tolist() == [0, 0, 0]
    assert boundary_counts(truth, truth, 3)[0].tolist() == [10, 10, 0]


def test_void_is_left_out_of_the_prediction_too():
    truth = halves(10)
    truth[:5] = VOID
    both, ours, theirs = boundary_counts(truth, halves(10), 2)
    assert both.tolist() == ours.tolist() == theirs.tolist() == [5, 5]


def test_iou_and_round_trip():
    quality = BoundaryQuality(np.array([[5, 0, 0], [10, 10, 0], [10, 10, 0]]))
    assert quality.iou[:2] == pytest.approx([5 / 15, 0])
    assert np.isnan(quality.iou[2])
    assert quality.mean_iou == pytest.approx(1 / 6)
    assert np.array_equal(BoundaryQuality.from_json(quality.to_json()).counts, quality.counts)


@pytest.mark.parametrize("values", [{}, {"counts": 1}, {"counts": [[1.5], [1], [1]]}, []])
def test_damaged_counts(values):
    with pytest.raises((KeyError, TypeError, ValueError)):
        BoundaryQuality.from_json(values)
