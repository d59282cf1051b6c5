"""Figures and tables as Markdown; figures alone are the same on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.words import in_percent


def percent_over(mean: float | None, deviation: float | None) -> str:
    """Mean and standard deviation, "45.0 ± 7.1"; a single value has none."""
    return in_percent(mean) + ("" if deviation is None else f" ± {in_percent(deviation)}")


def table(head: list[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(map(str, line))} |" for line in (head, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])
