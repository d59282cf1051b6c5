"""The charts' data and that Vega-Lite's schema accepts them."""

from __future__ import annotations

import pytest

from app.charts import (
    FIGURE_TITLES,
    MODEL_COLOURS,
    X_TITLES,
    Run,
    class_bars,
    curve_rows,
    learning_curve,
)

ROWS = [
    {"epoch": 1.0, "seconds": 60.0, "val_iou": 0.2, "train_iou": 0.1, "val_loss": 1.0},
    {"epoch": 2.0, "seconds": 30.0, "val_iou": 0.5, "train_iou": 0.4, "val_loss": 0.5},
    {"epoch": 3.0, "seconds": 30.0, "val_iou": 0.5, "train_iou": 0.6, "val_loss": 0.7},
]


def run(rows=ROWS) -> Run:
    return Run("A", MODEL_COLOURS[0], rows)


def test_curve_rows():
    rows = [row for row in curve_rows([run()], "iou") if row["part"] == "validation"]
    assert [row["value"] for row in rows] == [0.2, 0.5, 0.5]
    assert [row["minutes"] for row in rows] == [1.0, 1.5, 2.0]


def test_first_of_equal_epochs_is_the_best_one():
    """Also on the other curves: its weights were kept."""
    for figure in ("iou", "loss"):
        marked = [row["epoch"] for row in curve_rows([run()], figure) if row["best"]]
        assert marked == [2.0]


@pytest.mark.parametrize(
    "rows",
    [[], [{}], [{"epoch": 1.0}], [{"val_iou": 0.5}], [{"epoch": 1.0, "val_iou": float("nan")}]],
)
def test_half_written_histories_give_no_points(rows):
    assert curve_rows([run(rows)], "iou") == []


@pytest.mark.parametrize("x", X_TITLES)
@pytest.mark.parametrize("figure", FIGURE_TITLES)
def test_learning_curve_is_valid(figure, x):
    chart = learning_curve([run(), Run("B", MODEL_COLOURS[1], [])], figure, x).to_dict()
    assert chart["title"] == FIGURE_TITLES[figure]
    colour = chart["layer"][0]["encoding"]["color"]["scale"]
    assert colour == {"domain": ["A", "B"], "range": list(MODEL_COLOURS[:2])}


def test_class_bars_keep_the_order_of_classes():
    rows = [
        {"class": name, "model": model, "value": value}
        for model, value in (("A", 0.5), ("B", None))
        for name in ("sky", "road")
    ]
    chart = class_bars(rows, ["A", "B"], MODEL_COLOURS[:2], "IoU").to_dict()
    assert chart["encoding"]["y"]["sort"] == ["sky", "road"]


def test_model_colours_differ():
    assert len(set(MODEL_COLOURS)) == len(MODEL_COLOURS) >= 4
