"""Reliability curves against torchmetrics and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.data.classes import VOID
from model.evaluation.calibration import LEVELS, Calibration, confidence_counts


def simulated(seed: int = 0, size: int = 5000):
    """Truth, prediction and confidence of a model that is surer than it is right."""
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0.34, 1, (1, size)).astype(np.float16)
    right = rng.uniform(size=(1, size)) < confidence.astype(float) ** 2
    truth = rng.integers(0, 3, (1, size)).astype(np.uint8)
    return truth, np.where(right, truth, (truth + 1) % 3).astype(np.uint8), confidence


def test_error_is_that_of_torchmetrics():
    torch = pytest.importorskip("torch")
    classification = pytest.importorskip("torchmetrics.functional.classification")
    truth, prediction, confidence = simulated()
    found = Calibration.of(confidence_counts(truth, prediction, confidence))
    probability = torch.zeros(truth.size, 3)
    values = torch.from_numpy(confidence.astype(np.float32).ravel())
    predicted = torch.from_numpy(prediction.astype(np.int64).ravel())
    probability.scatter_(1, predicted[:, None], values[:, None])
    # The rest must not exceed the prediction's own probability.
    for step in (1, 2):
        probability.scatter_(1, ((predicted + step) % 3)[:, None], (1 - values)[:, None] / 2)
    reference = classification.multiclass_calibration_error(
        probability, torch.from_numpy(truth.astype(np.int64).ravel()), 3, n_bins=15, norm="l1"
    )
    # torchmetrics assigns the ends of bins the other way round.
    assert found.ece == pytest.approx(float(reference), abs=2e-3)
    assert found.ece > 0.1


def test_a_bin_by_hand():
    confidence = np.full((1, 10), 0.75, np.float16)
    truth = np.zeros((1, 10), np.uint8)
    prediction = np.uint8([[0, 0, 0, 0, 0, 0, 1, 1, 1, 1]])
    found = Calibration.of(confidence_counts(truth, prediction, confidence))
    assert np.flatnonzero(found.pixels).tolist() == [11]  # above 11/15, up to 12/15
    assert (found.confidence[11], found.accuracy[11]) == pytest.approx((0.75, 0.6))
    assert found.ece == pytest.approx(0.15)


def test_certainty_lies_in_the_last_bin_and_void_in_none():
    confidence = np.ones((1, 4), np.float16)
    truth = np.uint8([[0, 0, VOID, VOID]])
    found = Calibration.of(confidence_counts(truth, np.zeros((1, 4), np.uint8), confidence))
    assert found.pixels.tolist() == [0] * 14 + [2]
    assert found.ece == 0


def test_nothing_has_no_error():
    assert np.isnan(Calibration.of(np.zeros((2, LEVELS), np.int64)).ece)


def test_round_trip():
    found = Calibration.of(confidence_counts(*simulated()))
    again = Calibration.from_json(found.to_json())
    assert again.ece == pytest.approx(found.ece, abs=1e-5)
    assert np.array_equal(np.isnan(again.accuracy), np.isnan(found.accuracy))


@pytest.mark.parametrize("values", [{}, {"pixels": [1], "confidence": [1], "accuracy": [1]}])
def test_damaged_curves(values):
    with pytest.raises((KeyError, TypeError, ValueError)):
        Calibration.from_json(values)
