"""Objects found, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.data.classes import VOID
from model.evaluation.objects import ObjectRecall, object_counts, recall


def test_objects_by_class_and_size():
    truth = np.zeros((200, 200), np.uint8)  # the background is one large object
    truth[10:14, 10:14] = 1  # 16 pixels: tiny
    truth[50:60, 50:60] = 1  # 100: small
    truth[100:140, 100:140] = 2  # 1600: medium
    truth[190:, 190:] = VOID
    prediction = truth.copy()
    prediction[prediction == VOID] = 0
    prediction[50:56, 50:60] = 0  # of the small one 40 % are left
    prediction[100:120, 100:140] = 0  # of the medium one exactly half
    found, every = object_counts(truth, prediction, 4)
    assert every.tolist() == [[0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert found.tolist() == [[0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    sizes = ObjectRecall(np.stack([found, every]))
    assert sizes.by_size.tolist() == [1, 0, 1, 1]


def test_recall_is_over_all_sizes_and_keeps_what_is_before():
    one = np.array([[1, 1, 0, 0], [1, 3, 0, 4]])
    assert recall(one) == 0.25
    assert recall(np.stack([one, 0 * one])) == pytest.approx([0.25, np.nan], nan_ok=True)


def test_corners_connect_and_other_classes_separate():
    truth = np.zeros((9, 9), np.uint8)
    truth[1, 1] = truth[2, 2] = 1
    truth[5, :] = 2
    every = object_counts(truth, truth, 3)[1].sum(1)
    assert every.tolist() == [2, 1, 1]


def test_round_trip():
    counts = np.arange(24).reshape(2, 3, 4)
    assert np.array_equal(ObjectRecall.from_json(ObjectRecall(counts).to_json()).counts, counts)


@pytest.mark.parametrize("values", [{}, {"found": 1, "all": 2}, {"found": [[1]], "all": [[1.5]]}])
def test_damaged_counts(values):
    with pytest.raises((KeyError, TypeError, ValueError)):
        ObjectRecall.from_json(values)
