"""Per-class columns against figures worked out by hand."""

from __future__ import annotations

import pytest

from model.evaluation.compare import CLASS_FIGURES
from model.evaluation.report.per_class import bar_rows, difference_rows, per_class
from model.evaluation.report.verdict import judge


@pytest.fixture
def table(candidate):
    models = [candidate("A", 500), candidate("B", 800)]
    return per_class(models, judge(models), "iou")


def test_figures_and_difference(table):
    assert table.figures["A"][:2] == pytest.approx([100 / 3, 100 / 3])
    assert table.figures["B"][:2] == pytest.approx([200 / 3, 200 / 3])
    assert table.leader == "B"
    assert list(table.differences) == ["A"]
    assert table.differences["A"].value[:2] == pytest.approx([100 / 3, 100 / 3])


def test_absent_class_has_no_figure_and_no_bar(table):
    assert table.classes == ["road", "sky", "water (absent)"]
    assert table.absent == ["water"]
    assert table.shares == pytest.approx([50, 50, 0])
    assert table.figures["A"][2] is table.differences["A"].value[2] is None
    for rows in (bar_rows(table), difference_rows(table)):
        assert {row["class"] for row in rows} == {"road", "sky"}


def test_bars_are_shares(table):
    values = {(row["class"], row["model"]): row["value"] for row in bar_rows(table)}
    assert values["sky", "B"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("figure", CLASS_FIGURES)
def test_every_difference_lies_within_its_interval(pair, figure):
    found = per_class(pair, judge(pair), figure)
    expected = 100 * getattr(pair[0].metrics, figure)
    assert sorted(found.figures["Scratch"][:2]) == pytest.approx(sorted(expected[:2]))
    one = found.differences["Scratch"]
    for value, low, high in list(zip(one.value, one.low, one.high, strict=True))[:2]:
        assert low < value < high


def test_three_models_have_a_difference_to_each_other_one_the_closest_first(candidate):
    models = [candidate("A", 500), candidate("B", 800), candidate("C", 600)]
    assert list(per_class(models, judge(models), "dice").differences) == ["C", "A"]
