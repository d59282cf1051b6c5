"""What the panels mark and list."""

from __future__ import annotations

import numpy as np

from app.compare.panels import difference, errors, shares_table
from model.data.classes import VOID


def test_difference_is_where_any_model_differs():
    first = np.uint8([[0, 1, 2]])
    second, third = np.uint8([[0, 1, 1]]), np.uint8([[0, 0, 2]])
    assert difference([first, second]).tolist() == [[False, False, True]]
    assert difference([first, second, third]).tolist() == [[False, True, True]]
    assert not difference([first, first]).any()


def test_errors_leave_void_out():
    labels, truth = np.uint8([[0, 1, 1]]), np.uint8([[0, 0, VOID]])
    assert errors(labels, truth).tolist() == [[False, True, False]]


def test_shares_of_classes_that_occur(choose_model):
    models = [choose_model("A", 1), choose_model("<b>B", 1)]
    html = shares_table(models, [np.array([0.25, 0.75, 0]), np.array([1.0, 0, 0])])
    assert html.index("sky") > html.index("road")  # 100 % in the second model
    assert "25 %" in html
    assert "75 %" in html
    assert "water" not in html
    assert "&lt;b&gt;B" in html
