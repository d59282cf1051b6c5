"""Altair charts. Each takes plain rows and returns a chart; pages add width and theme."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt

# Blue, vermilion, bluish green and reddish purple of Okabe & Ito (2008): told apart with
# the common colour vision deficiencies, and with enough contrast on white and on black.
MODEL_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")

FIGURE_TITLES = {"loss": "Loss", "dice": "Dice", "iou": "IoU", "accuracy": "Accuracy"}
"""Columns of a history, after "train_" and "val_", and what they are called."""

X_TITLES = {"epoch": "epoch", "minutes": "minutes of training"}
CURVE_HEIGHT = 260
BAR_HEIGHT = 13


@dataclass(frozen=True)
class Run:
    """A training's curves: `rows` as `Checkpoint.history()` gives them."""

    title: str
    colour: str
    rows: Sequence[Mapping[str, float]]

    def best_epoch(self) -> float | None:
        """The epoch whose weights were kept: the first of the highest validation IoU."""
        rated = [row for row in self.rows if {"epoch", "val_iou"} <= row.keys()]
        if not rated:
            return None
        return max(rated, key=lambda row: (row["val_iou"], -row["epoch"]))["epoch"]


def curve_rows(runs: Sequence[Run], figure: str) -> list[dict]:
    """One row per run, part and epoch; what a half-written history lacks is left out.

    Args: figure: a key of `FIGURE_TITLES`.
    Returns: rows with model, part ("validation" or "training"), epoch, minutes since the
        start, value, and whether the epoch's weights were kept (`best`).
    """
    values = []
    for run in runs:
        best, seconds = run.best_epoch(), 0.0
        for row in run.rows:
            seconds += row.get("seconds", 0.0)
            for part, prefix in (("validation", "val"), ("training", "train")):
                value = row.get(f"{prefix}_{figure}")
                if value is None or value != value or "epoch" not in row:
                    continue
                values.append(
                    {
                        "model": run.title,
                        "part": part,
                        "epoch": row["epoch"],
                        "minutes": seconds / 60,
                        "value": value,
                        "best": part == "validation" and row["epoch"] == best,
                    }
                )
    return values


def learning_curve(runs: Sequence[Run], figure: str, x: str = "epoch") -> alt.LayerChart:
    """Validation (solid) and training (dashed) curves of all runs; a dot marks the best epoch.

    Args:
        figure: a key of `FIGURE_TITLES`.
        x: "epoch" or "minutes".
    """
    is_share = figure != "loss"
    colour = alt.Color(
        "model:N",
        scale=alt.Scale(domain=[r.title for r in runs], range=[r.colour for r in runs]),
        legend=None,
    )
    base = alt.Chart(alt.Data(values=curve_rows(runs, figure))).encode(
        x=alt.X(
            f"{x}:Q",
            title=X_TITLES[x],
            axis=alt.Axis(grid=False, tickMinStep=1 if x == "epoch" else alt.Undefined),
            scale=alt.Scale(nice=False, zero=x == "minutes"),
        ),
        y=alt.Y(
            "value:Q",
            title=None,
            axis=alt.Axis(format="%" if is_share else "", tickCount=5),
            scale=alt.Scale(zero=False),
        ),
        color=colour,
        tooltip=[
            alt.Tooltip("model:N", title="model"),
            alt.Tooltip("part:N", title="pictures"),
            alt.Tooltip("epoch:Q", title="epoch"),
            alt.Tooltip("minutes:Q", title="minutes", format=".1f"),
            alt.Tooltip(
                "value:Q", title=FIGURE_TITLES[figure], format=".1%" if is_share else ".3f"
            ),
        ],
    )
    dash = alt.StrokeDash(
        "part:N",
        scale=alt.Scale(domain=["validation", "training"], range=[[1, 0], [4, 3]]),
        legend=None,
    )
    width = alt.StrokeWidth(
        "part:N",
        scale=alt.Scale(domain=["validation", "training"], range=[2.2, 1.3]),
        legend=None,
    )
    lines = base.mark_line(interpolate="linear").encode(strokeDash=dash, strokeWidth=width)
    # Transparent, so that a tooltip opens near an epoch and not only on the thin line.
    targets = base.mark_point(size=120, opacity=0)
    best = base.transform_filter("datum.best").mark_point(
        size=75, filled=True, opacity=1, stroke="white", strokeWidth=1.5
    )
    return (lines + targets + best).properties(height=CURVE_HEIGHT, title=FIGURE_TITLES[figure])


def class_bars(
    rows: Sequence[Mapping], titles: Sequence[str], colours: Sequence[str], figure_title: str
) -> alt.Chart:
    """One group of horizontal bars per class, one bar per model.

    Args:
        rows: with "class", "model" and "value" in [0, 1] or None; classes in drawing order.
        titles, colours: of the models, in the same order everywhere.
    """
    order = list(dict.fromkeys(row["class"] for row in rows))
    return (
        alt.Chart(alt.Data(values=[dict(row) for row in rows]))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=alt.Y("class:N", sort=order, title=None, axis=alt.Axis(labelLimit=160, ticks=False)),
            yOffset=alt.YOffset("model:N", sort=list(titles)),
            x=alt.X(
                "value:Q",
                title=f"{figure_title} on the test split",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(format="%", tickCount=5),
            ),
            color=alt.Color(
                "model:N",
                scale=alt.Scale(domain=list(titles), range=list(colours)),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("class:N", title="class"),
                alt.Tooltip("model:N", title="model"),
                alt.Tooltip("value:Q", title=figure_title, format=".1%"),
            ],
        )
        .properties(height=len(order) * (BAR_HEIGHT * len(titles) + 10) + 40)
    )
