"""Chosen models that exist as descriptions and figures only."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.charts import MODEL_COLOURS
from app.compare.choice import Chosen
from model.checkpoints.folder import PER_IMAGE_FILE, Checkpoint
from model.data.classes import ClassTable
from model.data.preprocessing import Preprocessing
from model.evaluation.metrics import Metrics

CLASSES = ClassTable.named(road="#804080", sky="#4682B4", water="#2d3c96")


@pytest.fixture
def choose_model(tmp_path: Path) -> Callable[..., Chosen]:
    """A function that makes a chosen model with the given figures.

    Of 1000 pixels of each of the first two classes it gets `right` right; the third class
    is absent. `pictures` are the mean IoU of single pictures.
    """
    made = 0

    def choose(
        title: str, right: int | None, pictures: list[float] | None = None, **description
    ) -> Chosen:
        nonlocal made
        path = tmp_path / title
        path.mkdir()
        if pictures is not None:
            with open(path / PER_IMAGE_FILE, "w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["name", "mean_iou", "mean_dice", "accuracy"])
                writer.writerows([i, score, score, score] for i, score in enumerate(pictures))
        data = {"name": "toy", "title": "Toys, painted", "digest": "d", "split_digest": "s"}
        description = {"data": data} | description
        checkpoint = Checkpoint(title, path, {}, CLASSES, Preprocessing(64), description)
        metrics = None
        if right is not None:
            wrong = 1000 - right
            metrics = Metrics.of(np.array([[right, wrong, 0], [wrong, right, 0], [0, 0, 0]]))
        made += 1
        return Chosen(checkpoint, title, MODEL_COLOURS[made - 1], metrics)

    return choose
