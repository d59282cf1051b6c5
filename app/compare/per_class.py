"""Per-class figures side by side, ready for a table and for bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.compare.choice import Chosen

FIGURES = {"iou": "IoU", "dice": "Dice", "precision": "Precision", "recall": "Recall"}
"""Attributes of `Metrics` and what they are called."""


@dataclass(frozen=True)
class PerClass:
    """One figure of each class for each model, the most frequent class first.

    None stands for no figure: a class that occurs neither in truth nor in prediction.

    Attributes:
        classes: names; those without a pixel of truth in the test split say so.
        shares: of the truth's pixels, in per cent.
        figures: by model title, in per cent.
        differences: by column title, in points: the model with the highest mean IoU minus
            each other one.
        absent: names of the classes without a pixel of truth.
    """

    classes: list[str]
    shares: list[float]
    figures: dict[str, list[float | None]]
    differences: dict[str, list[float | None]]
    absent: list[str]

    def bar_rows(self) -> list[dict]:
        """Rows for `charts.class_bars`; absent classes are left out."""
        return [
            {"class": name, "model": title, "value": None if value is None else value / 100}
            for title, values in self.figures.items()
            for name, share, value in zip(self.classes, self.shares, values, strict=True)
            if share > 0
        ]


def per_class(scored: Sequence[Chosen], figure: str) -> PerClass:
    """Collects a figure of models that have metrics on the same split.

    Args: figure: a key of `FIGURES`.
    """
    names = scored[0].checkpoint.classes.names
    support = scored[0].metrics.support
    order = np.argsort(-support, kind="stable")
    values = {m.title: 100 * getattr(m.metrics, figure)[order] for m in scored}
    leader, *others = sorted(scored, key=lambda m: -m.metrics.mean_iou)
    return PerClass(
        classes=[names[i] if support[i] else f"{names[i]} (absent)" for i in order],
        shares=(100 * support[order] / support.sum()).tolist(),
        figures={title: _plain(column) for title, column in values.items()},
        differences={
            "Difference" if len(others) == 1 else f"to {other.title}": _plain(
                values[leader.title] - values[other.title]
            )
            for other in others
        },
        absent=[name for name, pixels in zip(names, support, strict=True) if not pixels],
    )


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else float(value) for value in values]
