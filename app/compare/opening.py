"""Which is better: the sentence, the figures beside each other, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from app.compare import frames
from app.compare.catalogue import Version
from app.compare.choice import is_unfinished, progress_text
from app.compare.tiles import tiles
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.document import protocol_text
from model.evaluation.report.tables import verdict_table
from model.evaluation.report.verdict import Verdict, judge
from model.evaluation.significance import RESAMPLES


def judged(models: Sequence[Candidate], versions: Mapping[str, Version]) -> Verdict:
    """The verdict; it is remembered until a file of one of the models changes.

    Args: versions: of the models' checkpoints, by name, from before they were read.
    """
    key = tuple((model.name, model.title, versions[model.name]) for model in models)
    return _judged(key, models)


@st.cache_data(show_spinner=False, max_entries=64)
def _judged(key: tuple, _models: Sequence[Candidate]) -> Verdict:
    return judge(list(_models))


def opening(models: Sequence[Candidate], verdict: Verdict) -> None:
    """Draws the section."""
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in verdict.details)
    st.html(f'<div class="verdict"><h1>{escape(verdict.headline)}</h1>{paragraphs}</div>')
    for text in verdict.warnings:
        st.warning(text)
    for text in verdict.cautions:
        st.info(text)
    for model in models:
        if is_unfinished(model.checkpoint):
            st.caption(
                f"{model.title} is at {progress_text(model.checkpoint)}, or was stopped there. "
                "What is new appears by itself."
            )
    if not models:
        return
    st.html(tiles(models))
    _evidence(verdict)
    st.caption(protocol_text(models))


def _evidence(verdict: Verdict) -> None:
    table = verdict_table(verdict)
    if not table.rows:
        return
    with st.expander(table.title):
        st.markdown(
            "Both models saw the same pictures. These are drawn anew, with replacement, "
            f"{RESAMPLES:,} times, their pixels are counted together, and the scores are taken of "
            "the sums: a paired bootstrap. Its interval holds the difference in 95 % of such "
            "draws. For the p-value the two models change places on half of the pictures, by the "
            "toss of a coin, as often: p says how often that alone gives a difference as large. "
            "Both speak of the choice of pictures, and not of another training run."
        )
        frames.show(table)
        st.caption(table.note)
