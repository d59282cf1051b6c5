"""Names of the figures, and numbers formatted for people: the same wherever they are shown.

This module imports no other part of the library, so that cards, results, reports and the
terminal can all use it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

NOTHING = "\N{EN DASH}"
"""Stands where there is no number."""

SPACE = "\N{NO-BREAK SPACE}"

CLASS_FIGURES = {"iou": "IoU", "dice": "Dice (F1)", "precision": "precision", "recall": "recall"}
"""Figures of a class and what they are called. F1 is another name of Dice."""

FIGURES = {
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice (F1)",
    "mean_precision": "precision",
    "mean_recall": "recall",
    "accuracy": "accuracy",
}
"""Figures of all classes together: the means of `CLASS_FIGURES` in the same order, then the share
of pixels that are right."""


def in_percent(value: float | None, digits: int = 1) -> str:
    """A share in [0, 1] in per cent, where the unit stands elsewhere: 0.6802 -> "68.0".

    `NOTHING` for None and NaN.
    """
    return NOTHING if value is None or math.isnan(value) else f"{100 * value:.{digits}f}"


def percent(value: float | None) -> str:
    """As `in_percent`, with the unit: 0.6802 -> "68.0 %"."""
    number = in_percent(value)
    return number if number == NOTHING else f"{number}{SPACE}%"


def percent_over(mean: float | None, deviation: float | None) -> str:
    """Mean and standard deviation in per cent, "45.0 ± 7.1"; a single value has none."""
    return in_percent(mean) + ("" if deviation is None else f" ± {in_percent(deviation)}")


def duration(seconds: float) -> str:
    """A length of time as people say it.

    >>> duration(42), duration(1500), duration(9000)
    ('42 s', '25 min', '2 h 30 min')
    """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02} min"


def with_interval(figures: Mapping[str, Any], name: str) -> str:
    """A figure of `metrics.json` in per cent, as "44.7 (36.6 to 48.1)" where it has an interval."""
    ends = figures.get("intervals", {}).get(name)
    value = in_percent(figures.get(name))
    return f"{value} ({in_percent(ends[0])} to {in_percent(ends[1])})" if ends else value
