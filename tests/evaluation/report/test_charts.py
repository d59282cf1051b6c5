"""The charts' data and that Vega-Lite's schema accepts them."""

from __future__ import annotations

import pytest

from model.evaluation.report import charts
from model.evaluation.report.candidate import MODEL_COLOURS
from model.evaluation.report.charts import CURVE_TITLES, X_TITLES, Series, curve_rows
from model.evaluation.report.document import svg

ROWS = [
    {"epoch": 1.0, "seconds": 60.0, "val_iou": 0.2, "train_iou": 0.1, "val_loss": 1.0},
    {"epoch": 2.0, "seconds": 30.0, "val_iou": 0.5, "train_iou": 0.4, "val_loss": 0.5, "kept": 1.0},
    {"epoch": 3.0, "seconds": 30.0, "val_iou": 0.5, "train_iou": 0.6, "val_loss": 0.7},
]


def run(rows=ROWS, title: str = "A", colour: str = MODEL_COLOURS[0]) -> Series:
    return Series(title, colour, rows)


def test_curve_rows():
    rows = [row for row in curve_rows([run()], "iou") if row["part"] == "validation"]
    assert [row["value"] for row in rows] == [row["smooth"] for row in rows] == [0.2, 0.5, 0.5]
    assert [row["minutes"] for row in rows] == [1.0, 1.5, 2.0]


def test_smoothing_keeps_the_values():
    rows = [row for row in curve_rows([run()], "iou", 0.5) if row["part"] == "validation"]
    assert [row["value"] for row in rows] == [0.2, 0.5, 0.5]
    # (0.5 * 0.2 + 0.5) / 1.5 and (0.25 * 0.2 + 0.5 * 0.5 + 0.5) / 1.75
    assert [row["smooth"] for row in rows] == pytest.approx([0.2, 0.4, 0.8 / 1.75])


@pytest.mark.parametrize("number", [2.0, 3.0])
def test_the_epoch_that_was_kept_is_marked_on_all_curves(number):
    rows = [row | {"kept": float(row["epoch"] == number)} for row in ROWS]
    for figure in ("iou", "loss"):
        marked = [row["epoch"] for row in curve_rows([run(rows)], figure) if row["kept"]]
        assert marked == [number]


@pytest.mark.parametrize(
    "rows",
    [[], [{}], [{"epoch": 1.0}], [{"val_iou": 0.5}], [{"epoch": 1.0, "val_iou": float("nan")}]],
)
def test_half_written_histories_give_no_points(rows):
    assert curve_rows([run(rows)], "iou") == []


@pytest.mark.parametrize("x", X_TITLES)
@pytest.mark.parametrize("figure", CURVE_TITLES)
def test_learning_curve_is_valid(figure, x):
    both = [run(), run([], "B", MODEL_COLOURS[1])]
    chart = charts.learning_curve(both, figure, x, smoothing=0.5).to_dict()
    assert chart["title"] == CURVE_TITLES[figure]
    colour = chart["layer"][0]["encoding"]["color"]["scale"]
    assert colour == {"domain": ["A", "B"], "range": list(MODEL_COLOURS[:2])}


def test_class_bars_keep_the_order_of_classes():
    rows = [
        {"class": name, "model": model, "value": value}
        for model, value in (("A", 0.5), ("B", None))
        for name in ("sky", "road")
    ]
    chart = charts.class_bars(rows, [run(), run(title="B")], "IoU").to_dict()
    assert chart["encoding"]["y"]["sort"] == ["sky", "road"]


def test_every_chart_is_drawn(pair):
    """Without a network, by what the report draws them with."""
    series = [Series(m.title, m.colour, None) for m in pair]
    rows = [{"class": "road", "model": m.title, "value": 1.5, "low": 1, "high": 2} for m in pair]
    matrix = pair[0].metrics.matrix
    names = pair[0].checkpoint.classes.names
    drawn = [
        charts.difference_bars(rows, series, "points"),
        charts.confusion_matrix(matrix, names, "A"),
        charts.confusion_matrix(matrix, names, "A less B", pair[1].metrics.matrix),
        charts.reliability([Series(m.title, m.colour, m.scored.calibration) for m in pair]),
        charts.object_bars([Series(m.title, m.colour, m.scored.objects) for m in pair]),
        charts.quality_against_latency([Series(m.title, m.colour, (10, 0.5)) for m in pair], "x"),
    ]
    for chart in drawn:
        text = svg(chart, 400)
        assert text.startswith("<svg")
        assert 'aria-roledescription="' in text  # marks, not only axes


def test_model_colours_differ():
    assert len(set(MODEL_COLOURS)) == len(MODEL_COLOURS) >= 4
