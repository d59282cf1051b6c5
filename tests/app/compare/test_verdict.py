"""The sentences follow the figures, and say nothing that the figures do not."""

from __future__ import annotations

import numpy as np
import pytest

from app.compare.verdict import judge

# Of 1000 pixels per class r right: IoU = r / (2000 - r).
BETTER, WORSE = 800, 500  # mean IoU 66.7 % and 33.3 %


def pictures(mean: float, seed: int, spread: float = 0.02) -> list[float]:
    return np.random.default_rng(seed).normal(mean, spread, 40).tolist()


def test_a_clear_difference(choose_model):
    worse = choose_model("Scratch", WORSE, pictures(0.30, 0))
    better = choose_model("Pretrained", BETTER, pictures(0.60, 1))
    verdict = judge([worse, better])
    assert verdict.headline == "Pretrained is better by 33.3 points of mean IoU"
    assert not verdict.warnings
    detail = verdict.details[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "On the test pictures of Toys, Pretrained reaches 66.7 % mean IoU" in detail
    assert "Scratch 33.3 %" in detail
    assert "higher on 40 of 40 pictures" in detail
    paired = verdict.comparisons[0].paired
    assert paired.low < 0.30 < paired.high
    assert f"between {100 * paired.low:.1f} and {100 * paired.high:.1f} points in 95 %" in detail


def test_order_of_choice_does_not_matter(choose_model):
    models = [
        choose_model("Scratch", WORSE, pictures(0.30, 0)),
        choose_model("Pretrained", BETTER, pictures(0.60, 1)),
    ]
    assert judge(models) == judge(models[::-1])


def test_no_difference_that_the_pictures_show(choose_model):
    one = choose_model("One", 801, pictures(0.5, 2))
    other = choose_model("Other", 800, pictures(0.5, 3))
    verdict = judge([one, other])
    assert verdict.headline == "No difference that these 40 pictures can show"
    assert "between \N{MINUS SIGN}" in verdict.details[0]


def test_equal_models_are_level(choose_model):
    models = [choose_model("One", 800, [0.5, 0.6]), choose_model("Other", 800, [0.5, 0.6])]
    assert "One is level on average, between 0.0 and 0.0 points" in judge(models).details[0]


def test_pixels_and_pictures_that_contradict_each_other_give_no_winner(choose_model):
    pixels = choose_model("Pixels", BETTER, pictures(0.4, 4))
    singles = choose_model("Pictures", WORSE, pictures(0.5, 5))
    verdict = judge([pixels, singles])
    assert verdict.headline == "No clear winner between Pixels and Pictures"
    paired = verdict.comparisons[0].paired
    assert (
        f"Pixels is behind by {-100 * paired.mean:.1f} points on average, "
        f"between {-100 * paired.high:.1f} and {-100 * paired.low:.1f}"
    ) in verdict.details[0]


def test_three_models_are_compared_with_the_best(choose_model):
    verdict = judge(
        [
            choose_model("C", 500, pictures(0.3, 6)),
            choose_model("A", 900, pictures(0.8, 7)),
            choose_model("B", 800, pictures(0.6, 8)),
        ]
    )
    assert verdict.headline.startswith("A is best by 15.2 points")
    assert [(c.leader, c.other) for c in verdict.comparisons[::3]] == [("A", "B"), ("A", "C")]
    assert verdict.details[1].startswith("C reaches 33.3")


def test_figures_without_pictures_have_no_interval(choose_model):
    verdict = judge([choose_model("A", BETTER, pictures(0.6, 9)), choose_model("B", WORSE)])
    assert verdict.headline == "A leads by 33.3 points of mean IoU, how surely is unknown"
    assert "B has no scores of single pictures" in verdict.warnings[0]
    assert "Picture by picture" not in verdict.details[0]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two(choose_model, count):
    models = [choose_model("A", BETTER, pictures(0.6, 10))][:count]
    assert judge(models).headline.startswith("Choose two models")


def test_a_model_without_figures_is_named(choose_model):
    verdict = judge([choose_model("A", BETTER, pictures(0.6, 11)), choose_model("Running", None)])
    assert verdict.headline == "Nothing to compare yet"
    assert verdict.warnings[0].startswith("Running has no figures on the test split")
    assert not verdict.refused


def test_different_splits_are_refused(choose_model):
    other = {"name": "toy", "digest": "d", "split_digest": "another"}
    verdict = judge([choose_model("A", BETTER), choose_model("B", WORSE, data=other)])
    assert verdict.refused
    assert verdict.headline == "These models cannot be compared"
    assert "different splits" in verdict.warnings[0]
    assert not verdict.comparisons
