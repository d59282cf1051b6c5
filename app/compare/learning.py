"""Learning: the curves of all trainings over each other, and who reaches whom when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from app.compare import frames
from model.evaluation.report import charts
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.charts import Series
from model.evaluation.report.small_data import (
    colours,
    how_drawn,
    in_words,
    on_the_same_split,
    points,
)
from model.evaluation.report.tables import learning_table
from model.evaluation.studies import SmallDataResult

AXES = {"epoch": "Epochs", "minutes": "Minutes"}
DRAWN = "how curves are drawn"
"""In the session: see `drawn`."""


def drawn() -> dict[str, float]:
    """How this visitor has the curves drawn: "smoothing", in [0, 1).

    It is the same dictionary for the whole session: who holds it sees what is chosen later, also
    where the session's state cannot be asked.
    """
    return st.session_state.setdefault(DRAWN, {"smoothing": 0.0})


@st.fragment
def learning_section(models: Sequence[Candidate], studies: Mapping[str, SmallDataResult]) -> None:
    """Draws the section. A fragment: smoothing redraws nothing else.

    Args: studies: of small data, by name; those of the models' data are drawn.
    """
    st.header("Learning")
    runs = [Series(model.title, model.colour, model.checkpoint.history()) for model in models]
    for run in runs:
        if not run.value:
            st.info(f"{run.title} has no curves: its history.csv is missing or empty.")
    runs = [run for run in runs if run.value]
    if runs:
        _curves(runs)
        table = learning_table(models)
        frames.show(table)
        st.caption(
            f"{table.note} Loss functions may differ between trainings. Training less validation "
            "is the over-fitting gap."
        )
    alike = on_the_same_split(studies, models[0].protocol)
    found = points(alike)
    if found:
        st.subheader("With fewer training pictures")
        st.write(in_words(found))
        known = {model.title: model.colour for model in models}
        st.altair_chart(
            charts.small_data_curve(found, colours(found, known)),
            width="stretch",
            alt=f"Mean Dice by number of training pictures. {in_words(found)}",
        )
        st.caption(how_drawn(alike))


def _curves(runs: Sequence[Series]) -> None:
    left, right = st.columns([1, 2], vertical_alignment="center")
    x = left.segmented_control(
        "Over",
        list(AXES),
        format_func=AXES.get,
        default="epoch",
        required=True,
        key="x",
        label_visibility="collapsed",
    )
    percent = right.slider("Smoothing", 0, 95, 0, step=5, format="%d %%", key="smoothing")
    drawn()["smoothing"] = percent / 100
    st.html(_key(runs))
    for pair in (("iou", "dice"), ("loss", "accuracy")):
        for column, figure in zip(st.columns(2, gap="medium"), pair, strict=True):
            column.altair_chart(
                charts.learning_curve(runs, figure, x, percent / 100),
                width="stretch",
                alt=f"{charts.CURVE_TITLES[figure]} of {len(runs)} trainings by {x}",
            )


def _key(runs: Sequence[Series]) -> str:
    """The legend of all curves, as HTML."""
    entries = [(f'<i class="line" style="border-color: {r.colour}"></i>', r.title) for r in runs]
    entries += [
        ('<i class="line"></i>', "validation"),
        ('<i class="line dashed"></i>', "training"),
        ('<i class="mark"></i>', "epoch whose weights are kept"),
    ]
    return '<p class="key">' + "".join(f"<span>{m}{escape(t)}</span>" for m, t in entries) + "</p>"
