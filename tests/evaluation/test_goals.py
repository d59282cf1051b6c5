"""Goals: whether a figure passes is computed, from what checkpoints recorded."""

from dataclasses import replace

import numpy as np
import pytest

from model.checkpoints import zoo
from model.data.datasets import DATA_SETS
from model.evaluation.goals import GOALS, Goal, dice_loss, headline, iou_of


@pytest.fixture
def pets(tmp_path):
    """A checkpoint of pets: 30 pixels pet, 50 background, 20 border; 10 of pet taken for border,
    5 of background for pet."""
    checkpoint = zoo.find("pets-scratch")
    matrix = np.array([[20, 0, 10], [5, 45, 0], [0, 0, 20]])
    figures = checkpoint.figures("test") | {"confusion_matrix": matrix.tolist()}
    return replace(checkpoint, metrics={"splits": {"test": {"f32": figures}}})


def test_classes_taken_together_are_one_region(pets):
    assert iou_of("pet", "border")(pets) == pytest.approx(50 / 55)
    assert iou_of("pet")(pets) == pytest.approx(20 / 35)
    assert iou_of("background")(pets) == pytest.approx(45 / 50)


def test_figures_are_the_recorded_ones():
    checkpoint = zoo.find("carla-scratch")
    figures = checkpoint.figures("test")
    assert headline("accuracy")(checkpoint) == figures["accuracy"]
    assert dice_loss(checkpoint) == pytest.approx(1 - figures["mean_dice"])


def test_a_goal_is_passed_from_its_own_side(pets):
    def goal(threshold, **rest):
        return Goal("pets", "IoU", lambda checkpoint: 0.6, threshold, **rest)

    assert goal(0.5).margin(pets) == pytest.approx(0.1)
    assert goal(0.7).margin(pets) == pytest.approx(-0.1)
    assert goal(0.7, above=False).margin(pets) == pytest.approx(0.1)


def test_a_goal_concerns_checkpoints_of_its_start():
    scratch, pretrained = zoo.find("pets-scratch"), zoo.find("pets-mobilenet")
    for start, expected in (
        ("scratch", (True, False)), ("pretrained", (False, True)), ("any", (True, True)),
    ):  # fmt: skip
        goal = Goal("pets", "IoU", headline("mean_iou"), 0.5, start)
        assert (goal.concerns(scratch), goal.concerns(pretrained)) == expected


def test_goals_are_of_data_sets_and_classes_that_there_are():
    for goal in GOALS:
        assert goal.data in DATA_SETS
        assert 0 < goal.threshold < 1
    for goal in GOALS:
        for checkpoint in zoo.list_bundled()[0]:
            if checkpoint.data_name == goal.data:
                assert 0 < goal.figure(checkpoint) < 1
