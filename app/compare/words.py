"""Figures in words and with units, the same everywhere on the page."""

from __future__ import annotations

import math

NOTHING = "\N{EN DASH}"
SPACE = "\N{NO-BREAK SPACE}"


def percent(value: float | None) -> str:
    """A share in [0, 1]: 0.6802 -> "68.0 %"; a dash where there is none."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{100 * value:.1f}{SPACE}%"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with a true minus sign: 0.123 -> "12.3"."""
    rounded = round(100 * difference, 1) + 0.0  # -0.0 becomes 0.0
    return f"{rounded:.1f}".replace("-", "\N{MINUS SIGN}")


def million(value: object) -> str:
    """6629235 -> "6.6 million", 486571 -> "0.49 million"."""
    if not isinstance(value, int | float):
        return NOTHING
    digits = 1 if value >= 1e6 else 2
    return f"{value / 1e6:.{digits}f}{SPACE}million"


def megabytes(size: int | None) -> str:
    """In units of 10^6 bytes, as operating systems and the Hub show sizes."""
    return NOTHING if size is None else f"{size / 1e6:.1f}{SPACE}MB"


def duration(seconds: object) -> str:
    """390.2 -> "6.5 min", 9000 -> "2.5 h"."""
    if not isinstance(seconds, int | float):
        return NOTHING
    if seconds < 60:
        return f"{seconds:.0f}{SPACE}s"
    if seconds < 5400:
        return f"{seconds / 60:.1f}{SPACE}min"
    return f"{seconds / 3600:.1f}{SPACE}h"
