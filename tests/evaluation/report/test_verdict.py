"""The sentences follow the figures, and say nothing that the figures do not."""

from __future__ import annotations

import numpy as np
import pytest

from model.evaluation import significance
from model.evaluation.report.tables import verdict_table
from model.evaluation.report.verdict import judge
from model.evaluation.report.words import points

# Of 1000 pixels per class r right: IoU = r / (2000 - r).
BETTER, WORSE = 800, 500  # mean IoU 66.7 % and 33.3 %


def pictures(mean: float, seed: int, spread: float = 0.02) -> list[float]:
    return np.random.default_rng(seed).normal(mean, spread, 40).tolist()


def test_a_clear_difference_has_an_interval_in_the_headline(pair):
    verdict = judge(pair)
    (found,) = verdict.pairs
    iou = found.by_iou
    assert iou.gap == pytest.approx(pair[1].metrics.mean_iou - pair[0].metrics.mean_iou)
    assert verdict.headline == (
        f"Pretrained is better by {points(iou.gap)} points of mean IoU, between "
        f"{points(iou.low)} and {points(iou.high)}, on 40 pictures"
    )
    assert "p < 0.001 by a paired permutation test" in verdict.details[0]
    assert f"scores higher on {found.comparison.first_ahead} of 40" in verdict.details[0]


def test_order_of_choice_does_not_matter(pair):
    one, other = judge(pair), judge(pair[::-1])
    assert (one.headline, one.details) == (other.headline, other.details)


def test_no_difference_that_the_pictures_show(candidate):
    verdict = judge([candidate("One", 801, counts=True), candidate("Other", 800, counts=True)])
    assert verdict.headline == "No difference that these 40 pictures can show"
    assert "so chance may explain it" in verdict.details[0]
    assert "between \N{MINUS SIGN}" in verdict.details[0]


def test_an_interval_that_the_test_does_not_confirm_makes_it_probable(candidate, monkeypatch):
    """And the sentences say which of the two is in doubt."""
    models = [candidate("Scratch", 760, counts=True), candidate("Pretrained", 800, counts=True)]
    monkeypatch.setattr(significance, "p_value", lambda *_: 0.071)
    verdict = judge(models)
    iou = verdict.pairs[0].by_iou
    assert iou.low > 0
    assert verdict.headline == (
        f"Pretrained is probably better, by {points(iou.gap)} points of mean IoU, which "
        "40 pictures cannot confirm"
    )
    assert "p = 0.071 by a paired permutation test, which does not confirm it" in verdict.details[0]
    assert "Interval and test disagree about mean IoU" in verdict.details[0]
    assert {row[-1] for row in verdict_table(verdict).rows} == {"probably"}


def test_three_models_are_compared_with_the_best(candidate):
    made = [candidate(name, right, counts=True) for name, right in
            (("C", 500), ("A", 900), ("B", 800))]  # fmt: skip
    verdict = judge(made)
    assert verdict.headline.startswith("A is best by")
    assert [(pair.leader, pair.other) for pair in verdict.pairs] == [("A", "B"), ("A", "C")]


def test_several_tests_are_allowed_for(candidate):
    """Holm: of two equally good others, the p-values are twice what they are alone."""
    made = [candidate(name, 790, counts=True) for name in ("A", "B", "C")]
    together = judge(made)
    leader, closest = (next(m for m in made if m.title == title) for title in
                       (together.pairs[0].leader, together.pairs[0].other))  # fmt: skip
    alone = judge([leader, closest])
    assert together.pairs[0].by_iou.p >= min(1.0, alone.pairs[0].by_iou.p)
    smallest = min(together.pairs, key=lambda pair: pair.by_iou.p)
    single = judge([leader, next(m for m in made if m.title == smallest.other)])
    assert smallest.by_iou.p == pytest.approx(min(1.0, 2 * single.pairs[0].by_iou.p))


def test_checkpoints_without_counts_are_compared_picture_by_picture(candidate):
    worse = candidate("Scratch", WORSE, pictures=pictures(0.30, 0))
    better = candidate("Pretrained", BETTER, pictures=pictures(0.60, 1))
    verdict = judge([worse, better])
    assert verdict.headline == "Pretrained is better by 33.3 points of mean IoU, on 40 pictures"
    assert "Picture by picture Pretrained is ahead by" in verdict.details[0]


def test_equal_models_are_level(candidate):
    models = [candidate(name, 800, pictures=[0.5, 0.6]) for name in ("One", "Other")]
    assert "One is level on average, between 0.0 and 0.0 points" in judge(models).details[0]


def test_pixels_and_pictures_that_contradict_each_other_give_no_winner(candidate):
    pixels = candidate("Pixels", BETTER, pictures=pictures(0.4, 4))
    singles = candidate("Pictures", WORSE, pictures=pictures(0.5, 5))
    verdict = judge([pixels, singles])
    assert verdict.headline == "No clear winner between Pixels and Pictures"
    assert "Pixels is behind by" in verdict.details[0]


def test_figures_without_pictures_have_no_interval(candidate):
    verdict = judge([candidate("A", BETTER, pictures=pictures(0.6, 9)), candidate("B", WORSE)])
    assert verdict.headline == "A leads by 33.3 points of mean IoU, with unknown certainty"
    assert "B has no scores of single pictures" in verdict.warnings[0]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two(pair, count):
    assert judge(pair[:count]).headline.startswith("Choose two models")


def test_a_model_without_figures_is_named(candidate):
    verdict = judge([candidate("A", BETTER), candidate("Running", None)])
    assert verdict.headline == "Nothing to compare yet"
    assert verdict.warnings[0].startswith("Running has no figures on the test split")
    assert not verdict.refused


def test_different_splits_are_refused(candidate):
    other = {"name": "toy", "digest": "d", "split_digest": "another"}
    verdict = judge([candidate("A", BETTER), candidate("B", WORSE, data=other)])
    assert verdict.refused
    assert verdict.headline == "These models cannot be compared"
    assert "different splits" in verdict.warnings[0]
    assert not verdict.pairs


def test_frames_of_unknown_sequence_are_warned_of(candidate):
    rule = {"name": "toy", "digest": "d", "split_digest": "s", "split_rule": "contiguous frames"}
    made = [candidate(name, right, counts=True, data=rule) for name, right in
            (("A", 800), ("B", 700))]  # fmt: skip
    assert "narrower than it should be" in judge(made).details[-1]
