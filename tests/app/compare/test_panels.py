"""What the panels are given."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from app.compare.panels import content
from app.compare.predictions import Prediction
from app.compare.sources import Picture
from model.data.classes import VOID, ClassInfo, ClassTable
from model.evaluation.report.words import NOTHING

ROAD, SKY = ClassInfo(0, "road", "#112233"), ClassInfo(1, "sky", "#445566")
CAT = ClassInfo(2, "cat", "#778899")


def given(truth: np.ndarray | None, *tables: ClassTable) -> dict:
    """The content for a black picture in which every model sees three quarters road and sky."""
    labels = np.array([[0, 0], [0, 1]], np.uint8)
    shown = [
        SimpleNamespace(title=f"model {i}", colour="#000000", checkpoint=SimpleNamespace(classes=t))
        for i, t in enumerate(tables)
    ]
    seen = [Prediction(labels, np.array([0.75, 0.25, 0.0]), None, None, "engine")] * len(tables)
    picture = Picture("key", np.zeros((2, 2, 3), np.uint8), truth, "made up")
    return content(picture, picture.source, "2 by 2 pixels", shown, seen)


def test_the_legend_has_classes_that_only_the_truth_has():
    """They are painted there: without a row they had no name, and could not be hidden."""
    truth = np.array([[2, 2], [VOID, 0]], np.uint8)
    made = given(truth, *[ClassTable((ROAD, SKY, CAT))] * 2)
    assert [head["title"] for head in made["heads"]] == ["model 0", "model 1", "Truth"]
    assert [(row["name"], row["shares"]) for row in made["classes"]] == [
        ("road", ["75 %", "75 %", "25 %"]),
        ("cat", [NOTHING, NOTHING, "50 %"]),
        ("sky", ["25 %", "25 %", NOTHING]),
    ]


def test_the_legend_without_a_truth_that_is_shown():
    truth = np.array([[2, 2], [VOID, 0]], np.uint8)
    others = ClassTable((ROAD, SKY, ClassInfo(2, "dog", "#778899")))
    for made in (
        given(None, ClassTable((ROAD, SKY, CAT))),
        given(truth, ClassTable((ROAD, SKY, CAT)), others),
    ):
        assert [row["name"] for row in made["classes"]] == ["road", "sky"]
        assert "Truth" not in [head["title"] for head in made["heads"]]
