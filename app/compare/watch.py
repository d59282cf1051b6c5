"""Keeps the page up to date: a run that goes on, and one that begins, appear by themselves."""

from __future__ import annotations

import streamlit as st

from app.compare import catalogue
from model.checkpoints.folder import Checkpoint

EVERY = "4s"


@st.fragment(run_every=EVERY)
def watch(checkpoints: dict[str, Checkpoint], seen: tuple) -> None:
    """Draws the page again whenever a file changes that it is drawn from.

    Args:
        checkpoints: those on the page, by the name they go by.
        seen: their fingerprint from before they were read: drawing the page takes a while, and
            what changes meanwhile has to be drawn too.
    """
    if catalogue.fingerprint(checkpoints) != seen:
        st.rerun()
