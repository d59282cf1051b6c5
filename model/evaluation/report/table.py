"""A table of figures: typed columns, rows, and its form as CSV."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field

from model.evaluation.report.words import title_of_kind

Cell = str | float | int | None


@dataclass(frozen=True)
class Column:
    """A column: its heading, and what its values are.

    kind: "text"; "count"; "share" in [0, 1]; "points", a difference of shares; "p"; "megabytes",
        "milliseconds", "minutes", "billions", "number".
    """

    title: str
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """Rows of figures, unrounded; None where there is no figure.

    Attributes:
        key: the name of its file, without suffix.
        note: what it was measured on and how, beyond what all tables share.
    """

    key: str
    title: str
    columns: list[Column]
    rows: list[list[Cell]] = field(default_factory=list)
    note: str = ""

    def csv(self) -> str:
        """Comma-separated, numbers as they are, units in the headings."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([title_of_kind(column.title, column.kind) for column in self.columns])
        writer.writerows(["" if cell is None else cell for cell in row] for row in self.rows)
        return buffer.getvalue()


def archive(tables: Sequence[Table], protocol: str) -> bytes:
    """A zip file with a CSV file per table, and a text file with how they were measured."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        notes = [protocol] + [f"{t.key}.csv: {t.title}. {t.note}".strip() for t in tables]
        file.writestr("protocol.txt", "\n\n".join(notes) + "\n")
        for table in tables:
            file.writestr(f"{table.key}.csv", table.csv())
    return buffer.getvalue()


def known(value: float | None) -> float | None:
    """A cell's value: None for what is missing or not a number."""
    return None if value is None or math.isnan(value) else float(value)
