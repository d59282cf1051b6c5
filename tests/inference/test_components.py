"""Small regions go to the largest one beside them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from model.inference.components import without_small


def areas(labels: np.ndarray) -> list[tuple[int, int]]:
    """(class, pixels) of each region, by scipy."""
    found = []
    for label in np.unique(labels):
        regions, _ = ndimage.label(labels == label)
        found += [(int(label), int(size)) for size in np.bincount(regions.ravel())[1:]]
    return found


def sieve(rows: list[str], *least: int) -> list[str]:
    labels = np.array([[int(value) for value in row] for row in rows], np.uint8)
    return ["".join(map(str, row)) for row in without_small(labels, least)]


def test_a_speck_goes_to_what_surrounds_it():
    assert sieve(["0000", "0100", "0000"], 2, 2) == ["0000", "0000", "0000"]


def test_what_is_large_enough_stays():
    rows = ["0000", "0110", "0000"]
    assert sieve(rows, 2, 2) == rows
    assert sieve(rows, 3, 3) == ["0000"] * 3


def test_pixels_that_touch_at_corners_only_are_two_regions():
    assert sieve(["0000", "0100", "0010", "0000"], 2, 2) == ["0000"] * 4


def test_rows_do_not_run_on_into_each_other():
    assert sieve(["0001", "1000", "0000"], 2, 2) == ["0000"] * 3


def test_the_largest_region_beside_it_takes_it():
    assert sieve(["00211", "00211", "00111"], 0, 0, 3) == ["00111"] * 3


def test_classes_have_their_own_least_area():
    rows = ["1002", "0000"]
    assert sieve(rows, 0, 2, 0) == ["0002", "0000"]
    assert sieve(rows, 0, 0, 2) == ["1000", "0000"]
    assert sieve(rows, 0, 0, 0) == rows


def test_small_regions_within_small_regions_go_with_them():
    assert sieve(["00000", "01110", "01210", "01110", "00000"], 9, 9, 9) == ["00000"] * 5


def test_a_picture_that_is_all_small_becomes_one_region():
    assert len(set("".join(sieve(["01", "23"], 9, 9, 9, 9)))) == 1
    assert sieve(["0"], 9) == ["0"]


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 2)),
    st.lists(st.integers(0, 9), min_size=3, max_size=3),
)
def test_nothing_small_is_left_and_what_is_large_is_kept(labels, least):
    before = labels.copy()
    result = without_small(labels, least)
    assert np.array_equal(labels, before)
    assert result.shape == labels.shape
    assert result.dtype == np.uint8
    left = areas(result)
    assert len(left) == 1 or all(size >= least[label] for label, size in left)
    for label in range(3):
        regions, count = ndimage.label(labels == label)
        for region in range(1, count + 1):
            where = regions == region
            if where.sum() >= least[label]:
                assert (result[where] == label).all()


@pytest.mark.parametrize("size", [(1, 500), (500, 1), (200, 300)])
def test_scipy_finds_the_same_regions(size):
    """With a least area of 2, a pixel changes exactly if it is a region of its own."""
    rng = np.random.default_rng(0)
    labels = (rng.random(size) < 0.1).astype(np.uint8)
    result = without_small(labels, [0, 2])
    regions, _ = ndimage.label(labels)
    alone = (np.bincount(regions.ravel())[regions] == 1) & (labels == 1)
    assert alone.any()
    assert np.array_equal(result != labels, alone)
