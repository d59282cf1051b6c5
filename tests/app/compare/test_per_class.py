"""Per-class columns against figures worked out by hand."""

from __future__ import annotations

import pytest

from app.compare.per_class import FIGURES, per_class


@pytest.fixture
def table(choose_model):
    return per_class([choose_model("A", 500), choose_model("B", 800)], "iou")


def test_figures_and_difference(table):
    assert table.figures["A"][:2] == pytest.approx([100 / 3, 100 / 3])
    assert table.figures["B"][:2] == pytest.approx([200 / 3, 200 / 3])
    assert list(table.differences) == ["Difference"]  # B, with the higher mean IoU, minus A
    assert table.differences["Difference"][:2] == pytest.approx([100 / 3, 100 / 3])


def test_absent_class_has_no_figure_and_no_bar(table):
    assert table.classes == ["road", "sky", "water (absent)"]
    assert table.absent == ["water"]
    assert table.shares == pytest.approx([50, 50, 0])
    assert table.figures["A"][2] is table.differences["Difference"][2] is None
    assert {row["class"] for row in table.bar_rows()} == {"road", "sky"}


def test_bars_are_shares(table):
    values = {(row["class"], row["model"]): row["value"] for row in table.bar_rows()}
    assert values["sky", "B"] == pytest.approx(2 / 3)


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_the_metrics_own(choose_model, figure):
    model = choose_model("A", 700)
    expected = 100 * getattr(model.metrics, figure)
    assert per_class([model], figure).figures["A"][:2] == pytest.approx(expected[:2])


def test_three_models_have_a_difference_to_each_other_one_the_closest_first(choose_model):
    models = [choose_model("A", 500), choose_model("B", 800), choose_model("C", 600)]
    assert list(per_class(models, "dice").differences) == ["to C", "to A"]
