"""Take it away: the report as one HTML file, and all tables as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import streamlit as st

from app.compare.learning import drawn
from app.compare.price import measured_costs
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.document import Report
from model.evaluation.report.verdict import Verdict
from model.evaluation.studies import SmallDataResult


def takeaway_section(
    models: Sequence[Candidate], verdict: Verdict, studies: Mapping[str, SmallDataResult]
) -> None:
    """Draws the section."""
    if verdict.refused:
        return
    st.header("Take it away")
    report = Report(models, verdict, measured_costs(models), studies)
    curves = drawn()
    name = f"comparison-{models[0].protocol.data}"
    with st.container(horizontal=True):
        # Callables: nothing is drawn until somebody wants it. Smoothing is asked for then, as its
        # slider redraws nothing here.
        st.download_button(
            "Report",
            lambda: replace(report, smoothing=curves["smoothing"]).html(),
            f"{name}.html",
            "text/html",
            on_click="ignore",
            key="report",
        )
        st.download_button(
            "Tables", report.csv, f"{name}.zip", "application/zip", on_click="ignore", key="tables"
        )
    st.caption(
        "The report is one HTML file with charts and tables, which needs nothing else; the tables "
        "are CSV files in a zip file. Both say how every figure was measured. The same from the "
        "command line:"
    )
    names = " ".join(model.name for model in models)
    st.code(f"python -m model compare {names} --output report.html", language="sh")
