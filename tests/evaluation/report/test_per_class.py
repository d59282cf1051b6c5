"""Per-class columns against figures worked out by hand."""

from __future__ import annotations

import pytest

from model.evaluation.report.per_class import bar_rows, difference_rows, per_class
from model.evaluation.report.verdict import judge
from model.words import CLASS_FIGURES


@pytest.fixture
def table(candidate):
    models = [candidate("A", 500), candidate("B", 800)]
    return per_class(models, judge(models), "iou")


def test_figures_and_difference(table):
    assert table.figures["A"][:2] == pytest.approx([1 / 3, 1 / 3])
    assert table.figures["B"][:2] == pytest.approx([2 / 3, 2 / 3])
    assert table.leader == "B"
    assert list(table.differences) == ["A"]
    assert table.differences["A"].value[:2] == pytest.approx([1 / 3, 1 / 3])


def test_absent_class_has_no_figure_and_no_bar(table):
    assert table.classes == ["road", "sky", "water (absent)"]
    assert table.absent == ["water"]
    assert table.shares == pytest.approx([0.5, 0.5, 0])
    assert table.figures["A"][2] is table.differences["A"].value[2] is None
    for rows in (bar_rows(table), difference_rows(table)):
        assert {row["class"] for row in rows} == {"road", "sky"}


def test_bars_are_shares_and_differences_points(table):
    values = {(row["class"], row["model"]): row["value"] for row in bar_rows(table)}
    assert values["sky", "B"] == pytest.approx(2 / 3)
    for row in difference_rows(table):
        assert (row["value"], row["low"]) == (pytest.approx(100 / 3), None)


@pytest.mark.parametrize("figure", CLASS_FIGURES)
def test_every_difference_lies_within_its_interval(pair, figure):
    found = per_class(pair, judge(pair), figure)
    expected = getattr(pair[0].metrics, figure)
    assert sorted(found.figures["Scratch"][:2]) == pytest.approx(sorted(expected[:2]))
    one = found.differences["Scratch"]
    bars = difference_rows(found)
    for i, (value, low, high) in enumerate(
        list(zip(one.value, one.low, one.high, strict=True))[:2]
    ):
        assert low < value < high
        drawn = [bars[i][name] for name in ("value", "low", "high")]
        assert drawn == pytest.approx([100 * value, 100 * low, 100 * high])


def test_three_models_have_a_difference_to_each_other_one_the_closest_first(candidate):
    models = [candidate("A", 500), candidate("B", 800), candidate("C", 600)]
    assert list(per_class(models, judge(models), "dice").differences) == ["C", "A"]
