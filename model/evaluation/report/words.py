"""Figures in words and with units, the same on the page and in the report."""

from __future__ import annotations

import math

from model import words
from model.evaluation.pictures import SCORES
from model.words import CLASS_FIGURES, FIGURES, NOTHING, SPACE, percent

MINUS = "\N{MINUS SIGN}"


def _capitalised(title: str) -> str:
    return title[0].upper() + title[1:]


SCORE_TITLES = {
    **{score: _capitalised(FIGURES[score]) for score in SCORES},
    "boundary_iou": "Boundary IoU",
    "object_recall": "Objects found",
}
"""Scores of a comparison and what they are called."""

FIGURE_TITLES = {figure: _capitalised(title) for figure, title in CLASS_FIGURES.items()}
"""Figures of a class and what they are called."""


def points(difference: float | None) -> str:
    """A difference of shares in percentage points, with a true minus sign: 0.123 -> "12.3"."""
    if difference is None or math.isnan(difference):
        return NOTHING
    rounded = round(100 * difference, 1) + 0.0  # -0.0 becomes 0.0
    return f"{rounded:.1f}".replace("-", MINUS)


def probability(p: float) -> str:
    """A p-value: 0.0312 -> "p = 0.031", 0.0001 -> "p < 0.001"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def million(value: object) -> str:
    """6629235 -> "6.6 million", 486571 -> "0.49 million"."""
    if not isinstance(value, int | float):
        return NOTHING
    digits = 1 if value >= 1e6 else 2
    return f"{value / 1e6:.{digits}f}{SPACE}million"


def megabytes(size: int | None) -> str:
    """In units of 10^6 bytes, as operating systems and the Hub show sizes."""
    return NOTHING if size is None else f"{size / 1e6:.1f}{SPACE}MB"


def milliseconds(value: float | None) -> str:
    """12.345 -> "12.3 ms", 1234 -> "1234 ms"."""
    if value is None:
        return NOTHING
    return f"{value:.1f}{SPACE}ms" if value < 100 else f"{value:.0f}{SPACE}ms"


def duration(seconds: object) -> str:
    """390.2 -> "7 min", 14400 -> "4 h 00 min", on one line."""
    if not isinstance(seconds, int | float):
        return NOTHING
    return words.duration(seconds).replace(" ", SPACE)


UNITS = {
    "megabytes": "MB",
    "milliseconds": "ms",
    "minutes": "minutes",
    "billions": "10^9",
    "share": "0 to 1",
    "points": "difference of shares",
}


def title_of_kind(title: str, kind: str) -> str:
    """A heading with its unit: "File, MB"."""
    return f"{title}, {UNITS[kind]}" if kind in UNITS else title


def cell(value: object, kind: str) -> str:
    """A table's cell as people read it; kinds are those of `tables.Column`."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, str):
        return value
    return {
        "share": percent,
        "points": points,
        "p": probability,
        "count": lambda number: f"{number:,.0f}",
        "megabytes": lambda number: f"{number:.1f}{SPACE}MB",
        "milliseconds": milliseconds,
        "minutes": lambda number: f"{number:.1f}{SPACE}min",
        "billions": lambda number: f"{number:.1f}{SPACE}billion",
        "number": lambda number: f"{number:.4g}",
    }[kind](value)
