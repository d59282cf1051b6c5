"""Who reaches whom, and when."""

from __future__ import annotations

import pytest

from model.evaluation.report.learning import epochs_of, learning, smoothed


def test_best_epoch_gap_and_who_reaches_whom(pair):
    scratch, pretrained = learning(pair)
    assert (scratch.epochs, scratch.minutes, scratch.kept.number) == (3, 3.0, 2)
    assert scratch.kept_iou == pytest.approx(0.4)
    assert scratch.gap == pytest.approx(0.1)  # 0.5 on training less 0.4
    assert scratch.reached == {"Pretrained": None}
    # 0.3, 0.6, 0.5 on validation: at least scratch's best, 0.4, from epoch 2 on.
    reach = pretrained.reached["Scratch"]
    assert (reach.epoch, reach.minutes) == (2, 2.0)


def test_models_without_a_history_are_left_out(candidate):
    assert learning([candidate("A", 500)]) == []


def test_rows_without_a_number_still_take_time():
    rows = [{"epoch": 1.0, "seconds": 60.0}, {"seconds": 60.0}, {"epoch": 2.0, "seconds": 60.0}]
    assert [epoch.minutes for epoch in epochs_of(rows)] == [1.0, 3.0]


def test_smoothing_does_not_start_at_zero():
    assert smoothed([1.0, 1.0, 1.0], 0.9) == [1.0, 1.0, 1.0]
    assert smoothed([0.2, 0.4], 0.0) == [0.2, 0.4]
