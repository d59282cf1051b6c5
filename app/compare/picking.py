"""A table of pictures with one of them picked: by a click, or by going to the next one."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from app.compare import frames
from model.evaluation.report.table import Table

HEIGHT = 320
"""Of the table in pixels: about eight pictures, the rest by scrolling."""


def picked(table: Table, key: str) -> int:
    """Draws the table with "previous" and "next"; returns the number of the row picked.

    Args:
        table: at least one row.
        key: of the widget; it belongs to this order of these rows.
    """
    last = len(table.rows) - 1
    row = min(_row(key), last)
    left, middle, right = st.columns([1, 1, 3], vertical_alignment="center")
    for column, text, step in ((left, "Previous", -1), (middle, "Next", 1)):
        column.button(
            text,
            key=f"{text} of {key}",
            on_click=_go,
            args=(key, row + step),
            disabled=not 0 <= row + step <= last,
            width="stretch",
        )
    right.markdown(f"**{table.rows[row][0]}** · {row + 1} of {last + 1}")
    frames.show(
        replace(table, title=f"{table.title}: choose a row"),
        height=min(HEIGHT, 36 * (last + 2) + 3),
        key=key,
        on_select="rerun",
        selection_mode="single-row-required",
    )
    return row


def _row(key: str) -> int:
    state = st.session_state.get(key)
    rows = state["selection"]["rows"] if state else []
    return rows[0] if rows else 0


def _go(key: str, row: int) -> None:
    st.session_state[key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
