"""What `per_image.csv` says, also where it is half-written."""

from __future__ import annotations

import pytest

from model.evaluation.pictures import read_pictures

ROW = {
    "name": "a", "mean_iou": "0.5", "mean_dice": "0.6", "accuracy": "0.7", "sequence": "1",
    "hits": "3 4", "truth": "5 5", "predicted": "4 6",
}  # fmt: skip


def test_counts_and_scores():
    found = read_pictures([ROW | {"name": "b"}, ROW], 2)
    assert found.names == ["a", "b"]
    assert found.sequences == ["1", "1"]
    assert found.scores["mean_dice"].tolist() == [0.6, 0.6]
    assert found.pixels[0].tolist() == [[3, 4], [5, 5], [4, 6]]
    assert found.contours is found.objects is None
    assert len(found.only(["b", "z"])) == 1


@pytest.mark.parametrize(
    "damage",
    [
        {"hits": "3"},
        {"hits": "3 -4"},
        {"hits": "3 x"},
        {"hits": None},
        {"mean_iou": ""},
        {"mean_iou": "nan"},
        {"name": ""},
    ],
)
def test_rows_that_lack_something_are_left_out(damage):
    found = read_pictures([ROW, ROW | {"name": "b"} | damage], 2)
    assert found.names == ["a"]
    assert found.pixels.shape == (1, 3, 2)


def test_older_files_have_no_counts():
    row = {name: ROW[name] for name in ("name", "mean_iou", "mean_dice", "accuracy")}
    found = read_pictures([row], 2)
    assert found.sequences == [""]
    assert found.pixels is None


@pytest.mark.parametrize("rows", [[], [{}], [{"a": "1"}]])
def test_nothing(rows):
    assert len(read_pictures(rows, 2)) == 0
