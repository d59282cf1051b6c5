"""How models learned: from the rows of `history.csv`, also while a run is in progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.evaluation.report.candidate import Candidate


@dataclass(frozen=True)
class Epoch:
    """A row of the history: its number, minutes since the start, and figures by column."""

    number: float
    minutes: float
    figures: Mapping[str, float]

    def get(self, column: str) -> float | None:
        """None where the row lacks it, or it is NaN."""
        value = self.figures.get(column)
        return None if value is None or value != value else value


@dataclass(frozen=True)
class Reach:
    """When a model first was as good as another one's kept epoch."""

    epoch: float
    minutes: float


@dataclass(frozen=True)
class Learning:
    """A training run in figures; all of them None for a history without scored epochs.

    Attributes:
        title: the model's.
        epochs, minutes: so far.
        kept: the epoch whose weights were kept.
        kept_iou: its mean IoU on validation, in [0, 1].
        gap: its mean IoU on training less that on validation: overfitting if it is large.
            Training pictures are augmented, so it may be below 0.
        reached: by the other models' titles, when it was as good as their kept one, or None.
    """

    title: str
    epochs: int
    minutes: float
    kept: Epoch | None
    kept_iou: float | None
    gap: float | None
    reached: dict[str, Reach | None]


def epochs_of(rows: Sequence[Mapping[str, float]]) -> list[Epoch]:
    """The epochs of a history; rows that lack their number are left out."""
    epochs, seconds = [], 0.0
    for row in rows:
        spent = row.get("seconds", 0.0)
        seconds += spent if spent == spent else 0.0
        if "epoch" in row and row["epoch"] == row["epoch"]:
            epochs.append(Epoch(row["epoch"], seconds / 60, row))
    return epochs


def kept_of(epochs: Sequence[Epoch]) -> Epoch | None:
    """The epoch whose weights were kept; None where it has no validation IoU."""
    return next((e for e in epochs if e.get("kept") and e.get("val_iou") is not None), None)


def learning(models: Sequence[Candidate]) -> list[Learning]:
    """For each model that has a history."""
    histories = {model.title: epochs_of(model.checkpoint.history()) for model in models}
    kept = {title: kept_of(epochs) for title, epochs in histories.items()}
    return [
        Learning(
            title=title,
            epochs=len(epochs),
            minutes=epochs[-1].minutes,
            kept=kept[title],
            kept_iou=kept[title] and kept[title].get("val_iou"),
            gap=_gap(kept[title]),
            reached={
                other: _reach(epochs, goal.get("val_iou"))
                for other, goal in kept.items()
                if other != title and goal is not None
            },
        )
        for title, epochs in histories.items()
        if epochs
    ]


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Exponential moving average; a weight of 0 leaves the values as they are.

    The first values are not biased towards 0: each is divided by the sum of its weights, as in
    D. Kingma, J. Ba, "Adam", ICLR 2015, section 3.

    >>> smoothed([1.0, 1.0, 1.0], 0.9)
    [1.0, 1.0, 1.0]
    """
    result, total, share = [], 0.0, 0.0
    for value in values:
        total = weight * total + (1 - weight) * value
        share = weight * share + (1 - weight)
        result.append(round(total / share, 12))
    return result


def _gap(epoch: Epoch | None) -> float | None:
    if epoch is None or epoch.get("train_iou") is None:
        return None
    return epoch.get("train_iou") - epoch.get("val_iou")


def _reach(epochs: Sequence[Epoch], goal: float) -> Reach | None:
    for epoch in epochs:
        if (value := epoch.get("val_iou")) is not None and value >= goal:
            return Reach(epoch.number, epoch.minutes)
    return None
