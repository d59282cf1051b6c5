"""Names of figures, and numbers as people read them."""

import numpy as np
import pytest

from model import words
from model.evaluation.metrics import Metrics, class_figures


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (words.in_percent(0.6802), "68.0"),
        (words.in_percent(0.68025, 2), "68.03"),
        (words.in_percent(None), words.NOTHING),
        (words.in_percent(float("nan")), words.NOTHING),
        (words.percent(0.6802), "68.0\N{NO-BREAK SPACE}%"),
        (words.percent(None), words.NOTHING),
        (words.percent(float("nan")), words.NOTHING),
    ],
)
def test_shares_are_in_per_cent(text, expected):
    assert text == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (390.2, "7 min"),
        (5400, "90 min"),
        (7140, "119 min"),
        (7170, "2 h 00 min"),  # rounds to a number of minutes that is then told in hours
        (9000, "2 h 30 min"),
    ],
)
def test_lengths_of_time_are_as_people_say_them(seconds, expected):
    assert words.duration(seconds) == expected


def test_every_figure_has_a_name():
    values = Metrics.of([[6, 2], [1, 3]]).to_json()
    assert [*values][: len(words.FIGURES)] == [*words.FIGURES]
    assert [*values["per_class"]] == [*words.CLASS_FIGURES, "support"]
    # `intervals` and `compare` rely on the order.
    assert [*class_figures(np.ones((3, 2)))] == [*words.CLASS_FIGURES]
    assert [*words.FIGURES] == [*(f"mean_{name}" for name in words.CLASS_FIGURES), "accuracy"]
