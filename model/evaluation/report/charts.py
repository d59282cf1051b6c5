"""Altair charts. Each takes plain rows and returns a chart; page and report add width and theme.

Altair takes a quarter of a second to import: import this module only where something is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np

from model.evaluation.calibration import Calibration
from model.evaluation.objects import SIZE_TEXTS, SIZES, ObjectRecall
from model.evaluation.report.learning import epochs_of, kept_of, smoothed
from model.evaluation.report.small_data import Point

CURVE_TITLES = {"loss": "Loss", "dice": "Dice", "iou": "IoU", "accuracy": "Accuracy"}
"""Columns of a history, after "train_" and "val_", and what they are called."""

X_TITLES = {"epoch": "epoch", "minutes": "minutes of training"}
CURVE_HEIGHT = 260
SMALL_DATA_HEIGHT = 380
BAR_HEIGHT = 13
CELL_SIDE = 17
MATRIX_FRAME = 200
"""Of a confusion matrix, in pixels: a cell, and what title, labels and legend take."""


@dataclass(frozen=True)
class Series:
    """What a chart draws of one model: `value` is what that chart is of."""

    title: str
    colour: str
    value: object


def curve_rows(
    runs: Sequence[Series], figure: str, smoothing: float = 0.0
) -> list[dict[str, object]]:
    """One row per run, part and epoch; whatever a half-written history lacks is left out.

    Args:
        runs: `value` is the rows of a history, as `Checkpoint.history()` gives them.
        figure: a key of `CURVE_TITLES`.
        smoothing: weight of the past in [0, 1), see `smoothed`.

    Returns: rows with model, part ("validation" or "training"), epoch, minutes since the start,
        value, smooth, and whether the epoch's weights were kept (`kept`).
    """
    values = []
    for run in runs:
        epochs = epochs_of(run.value)
        kept = kept_of(epochs)
        for part, prefix in (("validation", "val"), ("training", "train")):
            known = [e for e in epochs if e.get(f"{prefix}_{figure}") is not None]
            raw = [epoch.get(f"{prefix}_{figure}") for epoch in known]
            for epoch, value, smooth in zip(known, raw, smoothed(raw, smoothing), strict=True):
                values.append(
                    {
                        "model": run.title,
                        "part": part,
                        "epoch": epoch.number,
                        "minutes": epoch.minutes,
                        "value": value,
                        "smooth": smooth,
                        "kept": part == "validation" and epoch == kept,
                    }
                )
    return values


def learning_curve(
    runs: Sequence[Series], figure: str, x: str = "epoch", smoothing: float = 0.0
) -> alt.LayerChart:
    """Validation (solid) and training (dashed) curves of all runs; a dot marks the kept epoch.

    Args:
        runs, figure, smoothing: as for `curve_rows`; with smoothing the values themselves stay
            visible, faintly.
        x: "epoch" or "minutes".
    """
    is_share = figure != "loss"
    base = alt.Chart(alt.Data(values=curve_rows(runs, figure, smoothing))).encode(
        x=alt.X(
            f"{x}:Q",
            title=X_TITLES[x],
            axis=alt.Axis(grid=False, tickMinStep=1 if x == "epoch" else alt.Undefined),
            scale=alt.Scale(nice=False, zero=x == "minutes"),
        ),
        color=_colour(runs),
        tooltip=[
            alt.Tooltip("model:N", title="model"),
            alt.Tooltip("part:N", title="pictures"),
            alt.Tooltip("epoch:Q", title="epoch"),
            alt.Tooltip("minutes:Q", title="minutes", format=".1f"),
            alt.Tooltip("value:Q", title=CURVE_TITLES[figure], format=".1%" if is_share else ".3f"),
        ],
    )
    axis = alt.Axis(format="%" if is_share else "", tickCount=5)
    heights = {
        name: alt.Y(f"{name}:Q", title=None, axis=axis, scale=alt.Scale(zero=False))
        for name in ("value", "smooth")
    }
    parts = ["validation", "training"]
    dash = alt.StrokeDash(
        "part:N", scale=alt.Scale(domain=parts, range=[[1, 0], [4, 3]]), legend=None
    )
    width = alt.StrokeWidth("part:N", scale=alt.Scale(domain=parts, range=[2.2, 1.3]), legend=None)
    lines = base.mark_line(interpolate="linear").encode(
        y=heights["smooth"], strokeDash=dash, strokeWidth=width
    )
    layers = [lines]
    if smoothing:
        faint = base.mark_line(opacity=0.25, strokeWidth=1)
        layers.append(faint.encode(y=heights["value"], strokeDash=dash))
    # Transparent, so that a tooltip opens near an epoch and not only on the thin line.
    layers.append(base.mark_point(size=120, opacity=0).encode(y=heights["value"]))
    layers.append(
        base.transform_filter("datum.kept")
        .mark_point(size=75, filled=True, opacity=1, stroke="white", strokeWidth=1.5)
        .encode(y=heights["value"])
    )
    return alt.layer(*layers).properties(height=CURVE_HEIGHT, title=CURVE_TITLES[figure])


def class_bars(
    rows: Sequence[Mapping], series: Sequence[Series], figure_title: str, part: str = "test"
) -> alt.Chart:
    """One group of horizontal bars per class, one bar per model.

    Args:
        rows: with "class", "model" and "value" in [0, 1] or None; classes in drawing order.
        series: the models, in the same order everywhere.
    """
    order = list(dict.fromkeys(row["class"] for row in rows))
    return (
        alt.Chart(alt.Data(values=[dict(row) for row in rows]))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=alt.Y("class:N", sort=order, title=None, axis=alt.Axis(labelLimit=160, ticks=False)),
            yOffset=alt.YOffset("model:N", sort=[one.title for one in series]),
            x=alt.X(
                "value:Q",
                title=f"{figure_title} on the {part} split",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", tickCount=5),
            ),
            color=_colour(series),
            tooltip=[
                alt.Tooltip("class:N", title="class"),
                alt.Tooltip("model:N", title="model"),
                alt.Tooltip("value:Q", title=figure_title, format=".1%"),
            ],
        )
        .properties(height=len(order) * (BAR_HEIGHT * len(series) + 10) + 70)
    )


def difference_bars(
    rows: Sequence[Mapping], series: Sequence[Series], title: str
) -> alt.LayerChart:
    """Differences per class with their intervals; the line at 0 is "no difference".

    Args:
        rows: with "class", "model" (the other one), "value", "low" and "high" in points, the
            last two None where unknown; classes in drawing order.
        series: the other models.
    """
    order = list(dict.fromkeys(row["class"] for row in rows))
    base = alt.Chart(alt.Data(values=[dict(row) for row in rows])).encode(
        y=alt.Y("class:N", sort=order, title=None, axis=alt.Axis(labelLimit=160, ticks=False)),
        yOffset=alt.YOffset("model:N", sort=[one.title for one in series]),
        color=_colour(series),
        tooltip=[
            alt.Tooltip("class:N", title="class"),
            alt.Tooltip("model:N", title="to"),
            alt.Tooltip("value:Q", title="points", format="+.1f"),
            alt.Tooltip("low:Q", title="from", format="+.1f"),
            alt.Tooltip("high:Q", title="to", format="+.1f"),
        ],
    )
    x = alt.X("value:Q", title=title)
    zero = alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color="gray").encode(x="zero:Q")
    spans = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", title=title), x2="high:Q")
    dots = base.mark_point(filled=True, size=55, opacity=1).encode(x=x)
    return alt.layer(zero, spans, dots).properties(
        height=len(order) * (BAR_HEIGHT * len(series) + 10) + 70
    )


def confusion_matrix(
    matrix: np.ndarray, names: Sequence[str], title: str, other: np.ndarray | None = None
) -> alt.Chart:
    """What became of each class's pixels, as shares of the truth; classes that occur only.

    Args:
        matrix: integers (C, C), rows truth.
        other: if given, its shares are subtracted: above 0 means more often in `matrix`.
    """
    occurring = np.flatnonzero(matrix.sum(1))
    shares = _rows_to_one(matrix) - (0 if other is None else _rows_to_one(other))
    order = [names[i] for i in occurring]
    rows = [
        {
            "truth": names[i],
            "prediction": names[j],
            "share": round(float(shares[i, j]), 6),
            "pixels": int(matrix[i, j]),
        }
        for i in occurring
        for j in occurring
    ]
    scheme, domain, style = ("blues", [0, 1], ".1%")
    if other is not None:
        reach = max(0.01, float(np.abs(shares[np.ix_(occurring, occurring)]).max()))
        scheme, domain, style = "blueorange", [-reach, reach], "+.1%"
    legend = alt.Legend(title=None, format="%", gradientLength=100, orient="bottom")
    axis = alt.Axis(labelLimit=110, ticks=False, domain=False, grid=False, labelOverlap=False)
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_rect()
        .encode(
            x=alt.X("prediction:N", sort=order, title="prediction", axis=axis),
            y=alt.Y("truth:N", sort=order, title="truth", axis=axis),
            color=alt.Color(
                "share:Q",
                # Orange is more, blue less.
                scale=alt.Scale(scheme=scheme, domain=domain, reverse=False),
                legend=legend,
            ),
            tooltip=[
                alt.Tooltip("truth:N", title="truth"),
                alt.Tooltip("prediction:N", title="seen as"),
                alt.Tooltip("share:Q", title="share of the truth", format=style),
                alt.Tooltip("pixels:Q", title="pixels", format=","),
            ],
        )
        .properties(title=title, height=max(4, len(order)) * CELL_SIDE + MATRIX_FRAME)
    )


def reliability(series: Sequence[Series]) -> alt.LayerChart:
    """Accuracy by confidence; on the dashed line a model is right as often as it says.

    Args: series: `value` is a `Calibration`.
    """
    rows = []
    for one in series:
        curve: Calibration = one.value
        total = max(curve.pixels.sum(), 1)
        rows += [
            {
                "model": one.title,
                "confidence": float(confidence),
                "accuracy": float(accuracy),
                "share": float(pixels / total),
            }
            for pixels, confidence, accuracy in zip(
                curve.pixels, curve.confidence, curve.accuracy, strict=True
            )
            if pixels
        ]
    ideal = (
        alt.Chart(alt.Data(values=[{"at": 0}, {"at": 1}]))
        .mark_line(strokeDash=[4, 3], color="gray")
        .encode(x="at:Q", y="at:Q")
    )
    share = alt.Axis(format="%", tickCount=5)
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("confidence:Q", title="confidence", axis=share, scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("accuracy:Q", title="accuracy", axis=share, scale=alt.Scale(domain=[0, 1])),
        color=_colour(series),
        tooltip=[
            alt.Tooltip("model:N", title="model"),
            alt.Tooltip("confidence:Q", format=".1%"),
            alt.Tooltip("accuracy:Q", format=".1%"),
            alt.Tooltip("share:Q", title="of all pixels", format=".1%"),
        ],
    )
    dots = base.mark_point(filled=True, opacity=0.9).encode(
        size=alt.Size("share:Q", scale=alt.Scale(domain=[0, 1], range=[25, 400]), legend=None)
    )
    return alt.layer(ideal, base.mark_line(strokeWidth=1.5), dots).properties(height=CURVE_HEIGHT)


def object_bars(series: Sequence[Series]) -> alt.Chart:
    """Share of objects found, by size.

    Args: series: `value` is an `ObjectRecall`.
    """
    rows = []
    for one in series:
        recall: ObjectRecall = one.value
        found, every = recall.counts.sum(1)
        rows += [
            {
                "model": one.title,
                "size": size,
                "area": SIZE_TEXTS[i],
                "value": float(recall.by_size[i]),
                "found": f"{found[i]} of {every[i]}",
            }
            for i, size in enumerate(SIZES)
            if every[i]
        ]
    return (
        alt.Chart(alt.Data(values=rows))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            x=alt.X("size:N", sort=list(SIZES), title=None, axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("model:N", sort=[one.title for one in series]),
            y=alt.Y(
                "value:Q",
                title="objects found",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", tickCount=5),
            ),
            color=_colour(series),
            tooltip=[
                alt.Tooltip("model:N", title="model"),
                alt.Tooltip("area:N", title="pixels"),
                alt.Tooltip("found:N", title="found"),
            ],
        )
        .properties(height=CURVE_HEIGHT)
    )


def quality_against_latency(series: Sequence[Series], size: str) -> alt.LayerChart:
    """Mean IoU against the median time for a picture; better is up and to the left.

    Args:
        series: `value` is (milliseconds, mean IoU in [0, 1]).
        size: of the picture, in words.
    """
    rows = [
        {"model": one.title, "milliseconds": one.value[0], "value": one.value[1]} for one in series
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X(
            "milliseconds:Q",
            title=f"milliseconds for a picture of {size}",
            # Room for the names of the slowest ones.
            scale=alt.Scale(domain=[0, 1.35 * max(row["milliseconds"] for row in rows)]),
        ),
        y=alt.Y(
            "value:Q",
            title="mean IoU",
            axis=alt.Axis(format="%", tickCount=5),
            scale=alt.Scale(zero=False, padding=30),
        ),
        color=_colour(series),
        tooltip=[
            alt.Tooltip("model:N", title="model"),
            alt.Tooltip("milliseconds:Q", format=".1f"),
            alt.Tooltip("value:Q", title="mean IoU", format=".1%"),
        ],
    )
    dots = base.mark_point(filled=True, size=180, opacity=1)
    labels = base.mark_text(dy=-16, fontWeight=600).encode(text="model:N")
    return alt.layer(dots, labels).properties(height=CURVE_HEIGHT)


def small_data_curve(found: Sequence[Point], colours: Mapping[str, str]) -> alt.LayerChart:
    """Mean Dice against the number of training pictures: a dot for each run, a line through their
    means, and a band from the lowest to the highest.

    Args: colours: by model.
    """
    runs = [
        {
            "model": point.model,
            "pictures": point.pictures,
            "seed": run.seed,
            "dice": run.mean_dice,
            "iou": run.mean_iou,
        }
        for point in found
        for run in point.runs
    ]
    means = [
        {
            "model": point.model,
            "pictures": point.pictures,
            "seeds": len(point.runs),
            "dice": point.spread("mean_dice")[0],
            "low": min(point.values("mean_dice")),
            "high": max(point.values("mean_dice")),
        }
        for point in found
    ]
    x = alt.X(
        "pictures:Q",
        title="training pictures",
        # Where the eye compares: each doubling is as wide as the one before it.
        scale=alt.Scale(type="log", nice=False),
        axis=alt.Axis(values=sorted({point.pictures for point in found}), grid=False),
    )
    shared = {
        "title": None,
        "axis": alt.Axis(format="%", tickCount=5),
        "scale": alt.Scale(zero=False),
    }
    y, low = alt.Y("dice:Q", **shared), alt.Y("low:Q", **shared)
    colour = alt.Color(
        "model:N",
        title=None,
        # Not as faint as the band, the first layer.
        legend=alt.Legend(orient="bottom", columns=2, labelLimit=300, symbolOpacity=1),
        scale=alt.Scale(domain=list(colours), range=list(colours.values())),
    )
    mean = alt.Chart(alt.Data(values=means)).encode(x=x, color=colour)
    dots = (
        alt.Chart(alt.Data(values=runs))
        .mark_point(filled=True, size=45, opacity=0.9)
        .encode(
            x=x,
            y=y,
            color=colour,
            tooltip=[
                alt.Tooltip("model:N", title="model"),
                alt.Tooltip("pictures:Q", title="training pictures"),
                alt.Tooltip("seed:Q", title="seed"),
                alt.Tooltip("dice:Q", title="mean Dice", format=".1%"),
                alt.Tooltip("iou:Q", title="mean IoU", format=".1%"),
            ],
        )
    )
    # A single run shows no spread, which does not mean that there is none.
    several = mean.transform_filter("datum.seeds > 1")
    band = several.mark_area(opacity=0.25).encode(y=low, y2="high:Q")
    line = mean.mark_line(strokeWidth=2.2).encode(y=y)
    # Lines have no tooltips of their own points: those of transparent marks below the dots.
    told = mean.mark_point(size=300, opacity=0).encode(
        y=y,
        tooltip=[
            alt.Tooltip("model:N", title="model"),
            alt.Tooltip("pictures:Q", title="training pictures"),
            alt.Tooltip("seeds:Q", title="trainings"),
            alt.Tooltip("dice:Q", title="mean Dice, their mean", format=".1%"),
            alt.Tooltip("low:Q", title="lowest", format=".1%"),
            alt.Tooltip("high:Q", title="highest", format=".1%"),
        ],
    )
    return alt.layer(band, line, told, dots).properties(
        height=SMALL_DATA_HEIGHT, title="Mean Dice on the test part"
    )


def _colour(series: Sequence[Series]) -> alt.Color:
    return alt.Color(
        "model:N",
        scale=alt.Scale(domain=[s.title for s in series], range=[s.colour for s in series]),
        legend=None,
    )


def _rows_to_one(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
