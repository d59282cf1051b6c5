"""Per-class figures side by side, ready for a table and for bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.evaluation.report.candidate import Candidate, leader_first
from model.evaluation.report.tables import class_interval
from model.evaluation.report.verdict import Verdict


@dataclass(frozen=True)
class ClassDifference:
    """The leader's figure less another model's, per class in [-1, 1]; None where unknown.

    Attributes:
        value, low, high: with the ends of the 95 % interval.
    """

    value: list[float | None]
    low: list[float | None]
    high: list[float | None]


@dataclass(frozen=True)
class PerClass:
    """One figure of each class for each model, the most frequent class first.

    None stands for no figure: a class that occurs neither in truth nor in prediction.

    Attributes:
        classes: names; those without a pixel of truth in the split say so.
        shares: of the truth's pixels, in [0, 1].
        leader: title of the model with the highest mean IoU.
        figures: by model title, in [0, 1].
        differences: by title of each other model.
        absent: names of the classes without a pixel of truth.
    """

    classes: list[str]
    shares: list[float]
    leader: str
    figures: dict[str, list[float | None]]
    differences: dict[str, ClassDifference]
    absent: list[str]


def per_class(scored: Sequence[Candidate], verdict: Verdict, figure: str) -> PerClass:
    """Collects one figure of models that have scores on the same split.

    Args: figure: one of `words.CLASS_FIGURES`.
    """
    leader, *others = leader_first(scored)
    names = leader.checkpoint.classes.names
    support = leader.metrics.support
    order = np.argsort(-support, kind="stable")
    values = {m.title: getattr(m.metrics, figure)[order] for m in scored}
    differences = {}
    for other in others:
        ends = class_interval(verdict, other.title, figure)
        low, high = np.full((2, len(names)), np.nan) if ends is None else ends[:, order]
        gap = values[leader.title] - values[other.title]
        differences[other.title] = ClassDifference(_plain(gap), _plain(low), _plain(high))
    return PerClass(
        classes=[names[i] if support[i] else f"{names[i]} (absent)" for i in order],
        shares=(support[order] / support.sum()).tolist(),
        leader=leader.title,
        figures={title: _plain(column) for title, column in values.items()},
        differences=differences,
        absent=[name for name, pixels in zip(names, support, strict=True) if not pixels],
    )


def bar_rows(table: PerClass) -> list[dict]:
    """Rows for `charts.class_bars`; absent classes are left out."""
    return [
        {"class": name, "model": title, "value": value}
        for title, values in table.figures.items()
        for name, share, value in zip(table.classes, table.shares, values, strict=True)
        if share > 0
    ]


def difference_rows(table: PerClass) -> list[dict]:
    """Rows for `charts.difference_bars`, in points; absent classes are left out."""

    def points(difference: float | None) -> float | None:
        return None if difference is None else 100 * difference

    return [
        {
            "class": name,
            "model": title,
            "value": points(value),
            "low": points(low),
            "high": points(high),
        }
        for title, one in table.differences.items()
        for name, share, value, low, high in zip(
            table.classes, table.shares, one.value, one.low, one.high, strict=True
        )
        if share > 0
    ]


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else float(value) for value in values]
