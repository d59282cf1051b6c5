"""Which is better, in words that the figures bear out."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations

from app.compare.choice import Chosen
from app.compare.words import percent, points
from app.models import data_title
from model.errors import ConfigError
from model.evaluation.compare import (
    PER_IMAGE_SCORES,
    RESAMPLES,
    PairedDifference,
    compare,
    mismatches,
)


@dataclass(frozen=True)
class Comparison:
    """The model with the highest mean IoU against another one, on one score.

    Attributes:
        leader, other: the models' titles.
        score: one of `PER_IMAGE_SCORES`.
        pooled: leader minus other over all pixels of the test split, in [-1, 1].
        paired: leader minus other picture by picture, None where it cannot be had.
    """

    leader: str
    other: str
    score: str
    pooled: float
    paired: PairedDifference | None


@dataclass(frozen=True)
class Verdict:
    """What the page says first.

    Attributes:
        headline: one sentence without a full stop.
        details: further sentences, one string per paragraph.
        warnings: what keeps the models from being compared, or one of them from being scored.
        comparisons: the figures behind it, leader against each other model on each score.
        refused: the models' figures must not be set side by side at all.
    """

    headline: str
    details: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    refused: bool = False


def judge(chosen: list[Chosen]) -> Verdict:
    """The verdict on the chosen models, whatever state their checkpoints are in."""
    if len(chosen) < 2:
        return Verdict("Choose two models or more to compare them")
    reasons = [
        reason
        for first, second in combinations(chosen, 2)
        for reason in mismatches(first.checkpoint, second.checkpoint)
    ]
    if reasons:
        return Verdict("These models cannot be compared", warnings=reasons, refused=True)
    warnings = [
        f"{model.title} has no figures on the test split: its training is still running, or its "
        "metrics.json is damaged."
        for model in chosen
        if model.metrics is None
    ]
    scored = [model for model in chosen if model.metrics is not None]
    if len(scored) < 2:
        return Verdict("Nothing to compare yet", warnings=warnings)
    leader, *others = sorted(scored, key=lambda model: -model.metrics.mean_iou)
    by_iou, comparisons = [], []
    for other in others:
        try:
            scores = [_comparison(leader, other, score) for score in PER_IMAGE_SCORES]
        except ConfigError as error:
            pooled = leader.metrics.mean_iou - other.metrics.mean_iou
            scores = [Comparison(leader.title, other.title, "mean_iou", pooled, None)]
            warnings.append(f"How sure the difference is cannot be said: {error}")
        by_iou.append(next(c for c in scores if c.score == "mean_iou"))
        comparisons += scores
    return Verdict(
        _headline(by_iou[0], len(scored)), _details(leader, others, by_iou), warnings, comparisons
    )


def _comparison(leader: Chosen, other: Chosen, score: str) -> Comparison:
    pooled = getattr(leader.metrics, score) - getattr(other.metrics, score)
    paired = compare(leader.checkpoint, other.checkpoint, score)
    return Comparison(leader.title, other.title, score, pooled, paired)


def _headline(closest: Comparison, models: int) -> str:
    """From the leader and the model that comes closest to it, of `models` in all."""
    paired = closest.paired
    gap = f"by {points(closest.pooled)} points of mean IoU"
    if paired is None:
        return f"{closest.leader} leads {gap}, how surely is unknown"
    if not paired.is_clear:
        text = f"No difference that these {paired.pictures} pictures can show"
        return text if models == 2 else f"{text} between {closest.leader} and {closest.other}"
    if paired.mean < 0:  # the mean over pictures contradicts the figure over all pixels
        return f"No clear winner between {closest.leader} and {closest.other}"
    return f"{closest.leader} is {'better' if models == 2 else 'best'} {gap}"


def _details(leader: Chosen, others: list[Chosen], by_iou: list[Comparison]) -> list[str]:
    """A paragraph for each other model, the closest first."""
    opening = (
        f"On the test pictures of {data_title(leader.checkpoint)}, {leader.title} reaches "
        f"{percent(leader.metrics.mean_iou)} mean IoU, {others[0].title} "
        f"{percent(others[0].metrics.mean_iou)}."
    )
    paragraphs = [f"{opening} {_picture_by_picture(by_iou[0])}"]
    for other, comparison in zip(others[1:], by_iou[1:], strict=True):
        figure = f"{other.title} reaches {percent(other.metrics.mean_iou)}."
        paragraphs.append(f"{figure} {_picture_by_picture(comparison)}")
    return [text.strip() for text in paragraphs]


def _picture_by_picture(comparison: Comparison) -> str:
    """What resampling the pictures says, empty where there are no scores of pictures."""
    paired = comparison.paired
    if paired is None:
        return ""
    behind = paired.mean < 0
    low, high = (-paired.high, -paired.low) if behind else (paired.low, paired.high)
    gap = points(abs(paired.mean))
    standing = f"{'behind' if behind else 'ahead'} by {gap} points" if gap != "0.0" else "level"
    return (
        f"Picture by picture {comparison.leader} is {standing} on average, between {points(low)} "
        f"and {points(high)} points in {100 * paired.confidence:.0f} % of {RESAMPLES:,} resamples, "
        f"and scores higher on {paired.first_ahead} of {paired.pictures} pictures."
    )
