"""Where: by class, along contours, by size of objects, and where a model is sure."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.compare import frames
from model.evaluation.report import charts
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.charts import Series
from model.evaluation.report.per_class import PerClass, bar_rows, difference_rows, per_class
from model.evaluation.report.table import Column, Table
from model.evaluation.report.tables import (
    boundary_table,
    calibration_table,
    object_table,
    score_table,
)
from model.evaluation.report.verdict import Verdict
from model.evaluation.report.words import FIGURE_TITLES

CLASSES, CONFUSION, CONTOURS, OBJECTS, CONFIDENCE = VIEWS = (
    "Classes",
    "Confusion",
    "Contours",
    "Objects",
    "Confidence",
)

OLD = (
    "These checkpoints were scored before this was measured. "
    "`python -m model evaluate --checkpoint NAME --record` scores one again."
)


@st.fragment
def where_section(models: Sequence[Candidate], verdict: Verdict) -> None:
    """Draws the section. A fragment: another view redraws nothing else."""
    scored = [model for model in models if model.scored]
    if not scored or verdict.refused:
        return
    st.header("Where")
    view = st.segmented_control(
        "View", VIEWS, default=CLASSES, required=True, key="where", label_visibility="collapsed"
    )
    draw = {
        CLASSES: lambda: _classes(scored, verdict),
        CONFUSION: lambda: _confusion(scored),
        CONTOURS: lambda: _contours(scored),
        OBJECTS: lambda: _objects(scored),
        CONFIDENCE: lambda: _confidence(scored),
    }
    draw[view]()


def _classes(scored: Sequence[Candidate], verdict: Verdict) -> None:
    figure = st.segmented_control(
        "Figure",
        list(FIGURE_TITLES),
        format_func=FIGURE_TITLES.get,
        default="iou",
        required=True,
        key="figure",
        label_visibility="collapsed",
    )
    table = per_class(scored, verdict, figure)
    name = FIGURE_TITLES[figure]
    series = [Series(model.title, model.colour, None) for model in scored]
    left, right = st.columns(2, gap="medium")
    part = scored[0].protocol.part
    left.altair_chart(
        charts.class_bars(bar_rows(table), series, name, part),
        width="stretch",
        alt=f"{name} of each class, one bar per model",
    )
    if table.differences:
        right.altair_chart(
            charts.difference_bars(
                difference_rows(table), series, f"{table.leader} less the other, points"
            ),
            width="stretch",
            alt=f"Differences in {name} of each class with their intervals",
        )
    frames.show(_class_frame(table))
    st.caption(
        f"{name} over all pixels of the {part} split, and each class's share of them. Differences "
        f"are {table.leader} less the other, in points, with the ends of the 95 % interval of the "
        "paired bootstrap; one class among many may be off by chance. A heading sorts."
        + (f" Not in any {part} picture: {', '.join(table.absent)}." if table.absent else "")
    )


def _class_frame(table: PerClass) -> Table:
    columns = [Column("Class"), Column("Pixels", "share")]
    values: list[list] = [table.shares]
    for title, figures in table.figures.items():
        columns.append(Column(title, "share"))
        values.append(figures)
    for title, one in table.differences.items():
        several = len(table.differences) > 1
        columns.append(Column(f"to {title}" if several else "Difference", "points"))
        values.append(one.value)
        if any(value is not None for value in one.low):
            columns += [Column("from", "points"), Column("up to", "points")]
            values += [one.low, one.high]
    rows = [list(row) for row in zip(table.classes, *values, strict=True)]
    return Table("classes", "Figures of each class", columns, rows)


def _confusion(scored: Sequence[Candidate]) -> None:
    names = scored[0].checkpoint.classes.names
    drawn = [charts.confusion_matrix(model.metrics.matrix, names, model.title) for model in scored]
    if len(scored) > 1:
        first, second, *_ = scored
        drawn.append(
            charts.confusion_matrix(
                first.metrics.matrix,
                names,
                f"{first.title} less {second.title}",
                second.metrics.matrix,
            )
        )
    across = 3 if len(drawn) == 3 and len(names) < 12 else 2
    for start in range(0, len(drawn), across):
        for column, chart in zip(st.columns(across), drawn[start : start + across], strict=False):
            column.altair_chart(chart, width="stretch", alt="Confusion matrix")
    st.caption(
        "Of each class's pixels (a row), the share that was seen as each class (a column). On the "
        "diagonal they are right. In the difference, orange is more often and blue less often."
        if len(scored) > 1
        else "Of each class's pixels (a row), the share that was seen as each class (a column)."
    )


def _contours(scored: Sequence[Candidate]) -> None:
    having = [model for model in scored if model.scored.boundary]
    if not having:
        st.info(OLD)
        return
    table = boundary_table(scored)
    series = [Series(model.title, model.colour, None) for model in having]
    rows = [
        {"class": row[0], "model": one.title, "value": value}
        for row in table.rows
        for one, value in zip(series, row[1:], strict=True)
    ]
    left, right = st.columns([2, 3], gap="medium")
    left.altair_chart(
        charts.class_bars(rows, series, table.title, scored[0].protocol.part),
        width="stretch",
        alt="Boundary IoU of each class",
    )
    with right:
        frames.show(table)
        st.caption(f"{table.note} What is thinner than the band has the same boundary IoU as IoU.")


def _objects(scored: Sequence[Candidate]) -> None:
    having = [model for model in scored if model.scored.objects]
    if not having:
        st.info(OLD)
        return
    table = object_table(scored)
    left, right = st.columns([2, 3], gap="medium")
    left.altair_chart(
        charts.object_bars([Series(m.title, m.colour, m.scored.objects) for m in having]),
        width="stretch",
        alt="Share of objects found, by size",
    )
    with right:
        frames.show(table)
        st.caption(table.note)


def _confidence(scored: Sequence[Candidate]) -> None:
    having = [model for model in scored if model.scored.calibration]
    if not having:
        st.info(OLD)
        return
    left, right = st.columns([2, 3], gap="medium")
    left.altair_chart(
        charts.reliability([Series(m.title, m.colour, m.scored.calibration) for m in having]),
        width="stretch",
        alt="Accuracy by confidence",
    )
    scores = score_table(having)
    kept = [i for i, c in enumerate(scores.columns) if c.title in ("Model", "Calibration error")]
    errors = Table(
        "calibration-error",
        "Expected calibration error",
        [scores.columns[i] for i in kept],
        [[row[i] for i in kept] for row in scores.rows],
    )
    with right:
        frames.show(errors)
        st.caption(
            "Below the dashed line a model is surer than it is right, above it less sure. Larger "
            f"dots are more pixels. {calibration_table(having).note}"
        )
