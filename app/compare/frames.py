"""The report's tables as tables on the page, with the same headings, units and order."""

from __future__ import annotations

from typing import Any

import streamlit as st

from model.evaluation.report.table import Column, Table
from model.evaluation.report.words import NOTHING

SCALES = {"share": 100, "points": 100}
FORMATS = {
    "share": "%.1f %%",
    "points": "%+.1f",
    "p": "%.4f",
    "count": "localized",
    "megabytes": "%.1f MB",
    "milliseconds": "%.1f ms",
    "minutes": "%.1f min",
    "billions": "%.1f billion",
    "number": "%.4g",
}
WIDTHS = {"text": 180, "points": 110}


def show(table: Table, **options: Any) -> Any:
    """Draws a table; what it returns and further options are those of `st.dataframe`."""
    options = {"height": "content", **options}
    return st.dataframe(
        columns(table),
        hide_index=True,
        placeholder=NOTHING,
        column_config={
            heading: _config(column, first=i == 0)
            for i, (heading, column) in enumerate(zip(headings(table), table.columns, strict=True))
        },
        alt=table.title,
        **options,
    )


def columns(table: Table) -> dict[str, list]:
    """The values by heading: shares in per cent, differences in points."""
    return {
        heading: [
            cell * SCALES.get(column.kind, 1) if isinstance(cell, int | float) else cell
            for cell in (row[i] for row in table.rows)
        ]
        for i, (heading, column) in enumerate(zip(headings(table), table.columns, strict=True))
    }


def headings(table: Table) -> list[str]:
    """The titles of the columns; of equal ones the later have a mark that is not seen."""
    seen: dict[str, int] = {}
    result = []
    for column in table.columns:
        seen[column.title] = seen.get(column.title, -1) + 1
        result.append(column.title + "\N{ZERO WIDTH SPACE}" * seen[column.title])
    return result


def _config(column: Column, *, first: bool) -> Any:
    if column.kind == "text":
        return st.column_config.TextColumn(pinned=first, width=WIDTHS["text"] if first else None)
    # Fixed widths: the differences stay in sight beside long titles.
    return st.column_config.NumberColumn(
        format=FORMATS[column.kind], width=WIDTHS.get(column.kind, 130)
    )
