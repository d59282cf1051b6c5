"""Sheets of pictures: all of them whole, under their titles, over their names."""

import numpy as np
import pytest

from model.data.sheets import THUMBNAIL, cell, in_columns, sample

RED = (200, 0, 0)


def red(sheet) -> np.ndarray:
    return (np.asarray(sheet) == RED).all(-1)


@pytest.mark.parametrize("size_hw", [(30, 60), (60, 30), (300, 600)])
def test_a_table_holds_all_pictures_with_room_for_their_names(size_hw):
    picture = np.full((*size_hw, 3), RED, np.uint8)
    sheet = in_columns([("a", [picture] * 2), ("b", [picture] * 2)], ("x", "y"))
    # One side is twice the other, so each becomes 240 x 120 or 120 x 240.
    assert red(sheet).sum() == 4 * 240 * 120


def test_pictures_stand_below_the_titles_of_their_columns():
    def starts(*size_hw: int) -> list[int]:
        sheet = in_columns([("name", [np.full((*size_hw, 3), RED, np.uint8)] * 3)], "xyz")
        return np.flatnonzero(np.diff(red(sheet).any(0).astype(int)) == 1).tolist()

    assert len(starts(20, 60)) == 3
    assert starts(60, 20) == starts(20, 60)


def test_in_a_cell_a_picture_follows_the_one_before():
    narrow = np.full((60, 20, 3), RED, np.uint8)
    columns = np.flatnonzero(red(cell([narrow] * 2, "name")).any(0))
    assert len(columns) == 2 * THUMBNAIL // 3
    assert columns[-1] < THUMBNAIL


def test_a_table_without_rows_has_its_titles():
    assert in_columns([], ("x", "y")).width > 2 * THUMBNAIL


def test_samples_are_spread_evenly():
    assert sample(range(10), 4) == [0, 3, 6, 9]
    assert sample(["a", "b"], 4) == ["a", "b"]
    assert sample([], 4) == []
