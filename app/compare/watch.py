"""Keeps the page up to date: a run that goes on, and one that begins, appear by themselves."""

from __future__ import annotations

import streamlit as st

from app.compare import catalogue
from model.checkpoints.folder import Checkpoint

EVERY = "4s"
SEEN = "seen"
"""In the session: the files as they were when the page was drawn."""


def watch(checkpoints: dict[str, Checkpoint]) -> None:
    """Draws the page again whenever a file changes that it is drawn from.

    Args: checkpoints: those on the page, by the name they go by.
    """
    st.session_state[SEEN] = catalogue.fingerprint(checkpoints)
    _look(checkpoints)


@st.fragment(run_every=EVERY)
def _look(checkpoints: dict[str, Checkpoint]) -> None:
    now = catalogue.fingerprint(checkpoints)
    if now != st.session_state[SEEN]:
        st.session_state[SEEN] = now
        st.rerun()
