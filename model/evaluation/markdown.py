"""Figures and tables as Markdown; figures alone are the same on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.evaluation.report.words import NOTHING

FIGURES = {
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice (F1)",
    "mean_precision": "precision",
    "mean_recall": "recall",
    "accuracy": "accuracy",
}

CLASS_FIGURES = {"iou": "IoU", "dice": "Dice (F1)", "precision": "precision", "recall": "recall"}


def percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.1f}"


def percent_over(mean: float | None, deviation: float | None) -> str:
    """Mean and standard deviation, "45.0 ± 7.1"; a single value has none."""
    return percent(mean) + ("" if deviation is None else f" ± {percent(deviation)}")


def table(head: list[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(map(str, line))} |" for line in (head, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])
