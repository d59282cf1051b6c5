"""Which model is better, in words that the figures support."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations

from model.errors import ConfigError
from model.evaluation.compare import (
    MOST_UNCERTAIN,
    Comparison,
    Difference,
    Sureness,
    cautions,
    compare,
    mismatches,
)
from model.evaluation.report.candidate import Candidate, leader_first
from model.evaluation.report.words import percent, points, probability
from model.evaluation.significance import CONFIDENCE, RESAMPLES, holm


@dataclass(frozen=True)
class Pair:
    """The model with the highest mean IoU against another one.

    Attributes:
        leader, other: the models' titles.
        gap: leader less other in mean IoU over the whole split, in [0, 1].
        comparison: of the leader (first) with the other, on the pictures that both have; None
            if there is none. Its p-values are corrected for several pairs.
    """

    leader: str
    other: str
    gap: float
    comparison: Comparison | None

    @property
    def by_iou(self) -> Difference | None:
        return self.comparison and self.comparison.differences.get("mean_iou")


@dataclass(frozen=True)
class Verdict:
    """What the page says first.

    Attributes:
        headline: one sentence without a full stop.
        details: further sentences, one string per paragraph.
        warnings: what keeps the models from being compared, or one of them from being scored.
        cautions: what else differs between them.
        pairs: the figures behind it, leader against each other model, the closest first.
        refused: the models' figures must not be compared at all.
    """

    headline: str
    details: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    cautions: list[str] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    refused: bool = False


def judge(models: list[Candidate]) -> Verdict:
    """The verdict on the models, whatever state their checkpoints are in."""
    if len(models) < 2:
        return Verdict("Choose two models or more to compare them")
    reasons = [
        reason
        for first, second in combinations(models, 2)
        for reason in mismatches((first.title, second.title), first.protocol, second.protocol)
    ]
    if reasons:
        return Verdict("These models cannot be compared", warnings=reasons, refused=True)
    warnings = [
        f"{model.title} has no figures on the test split: its training is still running, or its "
        "metrics.json is damaged."
        for model in models
        if model.scored is None
    ]
    differ = [
        caution
        for first, second in combinations(models, 2)
        for caution in cautions((first.title, second.title), first.checkpoint, second.checkpoint)
    ]
    ordered = leader_first(models)
    if len(ordered) < 2:
        return Verdict("Nothing to compare yet", warnings=warnings, cautions=differ)
    leader, *others = ordered
    pairs = []
    for other in others:
        comparison = None
        try:
            comparison = _compare(leader, other)
        except ConfigError as error:
            warnings.append(f"The certainty of the difference is unknown: {error}")
        gap = leader.metrics.mean_iou - other.metrics.mean_iou
        pairs.append(Pair(leader.title, other.title, gap, comparison))
    pairs = _allow_for_many(pairs)
    return Verdict(
        _headline(pairs[0], len(ordered)),
        [_detail(leader, other, pair) for other, pair in zip(others, pairs, strict=True)]
        + _dependence(leader, pairs),
        warnings,
        differ,
        pairs,
    )


def _compare(leader: Candidate, other: Candidate) -> Comparison:
    """Raises `ConfigError` if there are no scores of single pictures, or too few."""
    for model in (leader, other):
        if not len(model.scored.pictures):
            raise ConfigError(f"{model.title} has no scores of single pictures.")
    return compare(leader.scored.pictures, other.scored.pictures)


def _allow_for_many(pairs: list[Pair]) -> list[Pair]:
    """Holm's correction of each score's p-values over the pairs."""
    compared = [i for i, pair in enumerate(pairs) if pair.comparison]
    result = list(pairs)
    scores = {name for i in compared for name in pairs[i].comparison.differences}
    for name in scores:
        with_it = [i for i in compared if name in result[i].comparison.differences]
        raised = holm([result[i].comparison.differences[name].p for i in with_it])
        for i, p in zip(with_it, raised, strict=True):
            comparison = result[i].comparison
            differences = dict(comparison.differences)
            differences[name] = replace(differences[name], p=p)
            result[i] = replace(result[i], comparison=replace(comparison, differences=differences))
    return result


def _headline(closest: Pair, models: int) -> str:
    """From the leader and the model that comes closest to it, of `models` in all."""
    gap = f"by {points(closest.gap)} points of mean IoU"
    difference = closest.by_iou
    if difference is None:
        return f"{closest.leader} leads {gap}, with unknown certainty"
    pictures = f"{closest.comparison.pictures} pictures"
    if difference.sureness is Sureness.NOT_SHOWN:
        text = f"No difference that these {pictures} can show"
        return text if models == 2 else f"{text} between {closest.leader} and {closest.other}"
    if difference.gap < 0:  # means over pictures may contradict the pooled figure
        return f"No clear winner between {closest.leader} and {closest.other}"
    better = "better" if models == 2 else "best"
    if difference.sureness is Sureness.PROBABLE:
        return f"{closest.leader} is probably {better}, {gap}, which {pictures} cannot confirm"
    is_better = f"{closest.leader} is {better} {gap}"
    if not closest.comparison.pooled:
        return f"{is_better}, on {pictures}"
    low, high = points(difference.low), points(difference.high)
    return f"{is_better}, between {low} and {high}, on {pictures}"


def _detail(leader: Candidate, other: Candidate, pair: Pair) -> str:
    """A paragraph about one other model."""
    ours, theirs = leader.metrics, other.metrics
    sentences = [
        f"On the {leader.protocol.part} pictures of {leader.protocol.short_title}, {leader.title} "
        f"reaches {percent(ours.mean_iou)} mean IoU and {percent(ours.mean_dice)} mean Dice, "
        f"{other.title} {percent(theirs.mean_iou)} and {percent(theirs.mean_dice)}."
    ]
    if pair.comparison is None:
        return sentences[0]
    comparison = pair.comparison
    shares = f"{100 * CONFIDENCE:.0f} % of {RESAMPLES:,} resamples"
    if comparison.pooled:
        for name, title in (("mean_iou", "IoU"), ("mean_dice", "Dice")):
            difference = comparison.differences[name]
            sentences.append(
                f"The difference in mean {title} is {points(difference.gap)} points, between "
                f"{points(difference.low)} and {points(difference.high)} in {shares} "
                f"({_test(difference)})."
            )
    else:
        sentences.append(_picture_by_picture(pair, shares))
    if pair.by_iou.sureness is Sureness.PROBABLE:
        sentences.append(
            "Interval and test disagree about mean IoU, as they may where few pictures, or few "
            "blocks of them, decide: the difference is likely, but not shown."
        )
    sentences.append(
        f"{pair.leader} scores higher on {comparison.first_ahead} of {comparison.pictures} "
        "pictures."
    )
    return " ".join(sentences)


def _picture_by_picture(pair: Pair, shares: str) -> str:
    """For checkpoints that kept scores of pictures but no counts."""
    difference = pair.by_iou
    behind = difference.gap < 0
    low, high = difference.low, difference.high
    if behind:
        low, high = -high, -low
    gap = points(abs(difference.gap))
    standing = f"{'behind' if behind else 'ahead'} by {gap} points" if gap != "0.0" else "level"
    return (
        f"Picture by picture {pair.leader} is {standing} on average, between {points(low)} and "
        f"{points(high)} points in {shares} ({_test(difference)})."
    )


def _test(difference: Difference) -> str:
    verdict = {
        (True, False): ", which does not confirm it",
        (False, True): ", although the interval includes 0",
        (False, False): ", so chance may explain it",
    }.get((difference.excludes_zero, difference.p <= MOST_UNCERTAIN), "")
    return f"{probability(difference.p)} by a paired permutation test{verdict}"


def _dependence(leader: Candidate, pairs: list[Pair]) -> list[str]:
    """What was done, or could not be done, about pictures that resemble each other."""
    lengths = [pair.comparison for pair in pairs if pair.comparison]
    if not lengths:
        return []
    if not any(leader.scored.pictures.sequences):
        if "contiguous" in leader.protocol.split_rule:
            return [
                "Frames of one drive resemble each other, and these checkpoints do not say which "
                "belong together: the interval is narrower than it should be. Scoring them again "
                "fixes that."
            ]
        return []
    longest = max(lengths, key=lambda comparison: comparison.block_length)
    if longest.block_length == 1:
        return [
            "The pictures are frames of a video or patches of a map, but how the models differ on "
            "one says nothing about the next: they were resampled one by one."
        ]
    return [
        "Neighbouring pictures resemble each other: they were resampled in "
        f"{longest.units} blocks of up to {longest.block_length}, which widens the interval."
    ]
