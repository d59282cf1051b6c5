"""Price: what the models cost, as recorded, and measured here when somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

import streamlit as st

from app import models as shared
from app.compare import frames
from app.compare.catalogue import is_local, said
from model.checkpoints import zoo
from model.errors import StudioError
from model.evaluation.cost import ROUNDS, TYPICAL_WH, Cost, measure
from model.evaluation.report import charts
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.charts import Series
from model.evaluation.report.prices import price_table

COSTS = "costs"
"""In the session: what was measured, by the models that took turns."""

DISTURBED = "costs disturbed"
"""In the session: of which of them others' pictures were in hand meanwhile."""

MEASURING = threading.Lock()
"""Two measurements at once would both be wrong."""


def measured_costs(models: Sequence[Candidate]) -> Mapping[str, Cost]:
    """What was measured of these models on this machine, by name; {} if nothing was."""
    return st.session_state.get(COSTS, {}).get(_key(models), {})


@st.fragment
def price_section(models: Sequence[Candidate]) -> None:
    """Draws the section."""
    st.header("Price")
    costs = measured_costs(models)
    table = price_table(models, costs)
    frames.show(table)
    if table.note:
        st.caption(f"{table.note} Medians of {ROUNDS} rounds.")
    if costs and _key(models) in st.session_state.get(DISTURBED, set()):
        st.caption(
            "Others' pictures were segmented meanwhile: these times are longer than those of a "
            "machine at rest."
        )
    _scatter(models, costs)
    # It takes all cores for minutes, and starts processes that the queue knows nothing of.
    if not is_local():
        st.caption("Time and memory here are measured only for whoever sits at this machine.")
    elif st.button(
        "Measure again" if costs else "Measure time and memory on this machine", key="measure"
    ):
        _measure(models)


def _key(models: Sequence[Candidate]) -> tuple:
    return tuple((model.name, zoo.version(model.checkpoint.path)) for model in models)


def _measure(models: Sequence[Candidate]) -> None:
    taking_turns = "Models take turns, at three sizes of picture …"
    someone = "Somebody else is measuring; it is your turn afterwards …"
    bar = st.progress(0.0, someone if MEASURING.locked() else taking_turns)
    disturbed = False

    def progress(done: float) -> None:
        nonlocal disturbed
        others = sum(shared.QUEUE.jobs().values())
        disturbed |= others > 0
        between = f" Between them, {others} pictures of others." if others else ""
        bar.progress(done, taking_turns + between)

    try:
        with MEASURING:
            key = _key(models)  # what changes during the measurement has not been measured
            segmenters = {model.name: shared.segmenter(model.checkpoint) for model in models}
            progress(0.0)
            costs = measure(segmenters, progress=progress)
    except (StudioError, OSError) as error:  # OSError: a folder was deleted just now
        st.error(f"This cannot be measured. {said(error)}")
        return
    finally:
        bar.empty()
    st.session_state.setdefault(COSTS, {})[key] = costs
    marked = st.session_state.setdefault(DISTURBED, set())
    (marked.add if disturbed else marked.discard)(key)
    st.rerun()  # the report has these figures too


def _scatter(models: Sequence[Candidate], costs: Mapping[str, Cost]) -> None:
    points = [
        Series(m.title, m.colour, (costs[m.name].latency[TYPICAL_WH].median, m.metrics.mean_iou))
        for m in models
        if m.scored and m.name in costs
    ]
    if points:
        st.altair_chart(
            charts.quality_against_latency(points, f"{TYPICAL_WH[0]} x {TYPICAL_WH[1]}"),
            width="stretch",
            alt="Mean IoU against milliseconds for a picture",
        )
