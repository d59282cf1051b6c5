"""Single test pictures: which went best and worst, and what went wrong in them, in words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from model.checkpoints.folder import Checkpoint
from model.data.classes import ClassTable

SHOWN = 3
"""Classes that a picture is described by: its largest."""

WORTH_SAYING = 0.01
"""The smallest error that is worth naming, as a share of the picture."""


def ranked(checkpoint: Checkpoint) -> list[dict[str, str]]:
    """The rows of `per_image.csv`, worst first; without pictures that are entirely void."""
    rows = [row for row in checkpoint.per_image() if not math.isnan(float(row["mean_iou"]))]
    return sorted(rows, key=lambda row: float(row["mean_iou"]))


def best_and_worst(
    checkpoint: Checkpoint, number: int
) -> tuple[list[Mapping[str, str]], list[Mapping[str, str]]]:
    """At most `number` rows of each, the best one and the worst one first; none is in both."""
    rows = ranked(checkpoint)
    number = min(number, max(1, len(rows) // 2))
    best = apart(reversed(rows), number)
    return best, apart((row for row in rows if row not in best), number)


def apart(rows: Iterable[Mapping[str, str]], number: int) -> list[Mapping[str, str]]:
    """Some of the first rows, in their order: one of each video sequence or tile before a second
    of any, as neighbours resemble each other."""
    rows = list(rows)
    first: dict[str, Mapping[str, str]] = {}
    others = []
    for row in rows:
        key = row.get("sequence") or f"alone: {row['name']}"
        if first.setdefault(key, row) is not row:
            others.append(row)
    chosen = [*first.values(), *others][:number]
    return [row for row in rows if row in chosen]


def describe(row: Mapping[str, str], classes: ClassTable) -> str:
    """What a picture holds, what is missed and what is wrongly seen, by pixels.

    Args: row: of `per_image.csv`. One without counts gives "".

    >>> two = ClassTable.of([("sky", "#0000c8"), ("sea", "#005a5a")])
    >>> describe({"hits": "60 20", "truth": "60 40", "predicted": "80 20"}, two)
    'sky 60 %, sea 40 %; it misses 20 of the 40 % sea, mistakes 20 % for sky'
    """
    if "hits" not in row:
        return ""
    hits, truth, predicted = (
        [int(count) for count in row[column].split()] for column in ("hits", "truth", "predicted")
    )
    total = sum(truth)

    def percent(count: int) -> str:
        return f"{100 * count / total:.0f}"

    largest = [i for i in _largest(truth)[:SHOWN] if truth[i]]
    holds = ", ".join(f"{classes[i].name} {percent(truth[i])} %" for i in largest)
    missed = max(range(len(truth)), key=lambda i: truth[i] - hits[i])
    extra = max(range(len(truth)), key=lambda i: predicted[i] - hits[i])
    errors = []
    if (count := truth[missed] - hits[missed]) >= WORTH_SAYING * total:
        errors.append(
            f"misses {percent(count)} of the {percent(truth[missed])} % {classes[missed].name}"
        )
    if (count := predicted[extra] - hits[extra]) >= WORTH_SAYING * total:
        errors.append(f"mistakes {percent(count)} % for {classes[extra].name}")
    if unseen := [i for i in _largest(truth) if truth[i] and not hits[i]]:
        errors.append(f"does not find {_names(unseen, classes)}")
    if invented := [i for i in _largest(predicted) if predicted[i] and not truth[i]]:
        errors.append(f"sees {_names(invented, classes)} where there is none")
    return f"{holds}; " + (f"it {', '.join(errors)}" if errors else "hardly anything wrong")


def _largest(counts: list[int]) -> list[int]:
    return sorted(range(len(counts)), key=lambda i: -counts[i])


def _names(ids: list[int], classes: ClassTable) -> str:
    names = [classes[i].name for i in ids[:SHOWN]]
    more = [f"{len(ids) - SHOWN} more"] if len(ids) > SHOWN else []
    *before, last = names + more
    return f"{', '.join(before)} and {last}" if before else last
