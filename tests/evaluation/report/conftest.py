"""Models in a comparison that exist as descriptions and figures only."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.data.classes import ClassTable
from model.data.preprocessing import Preprocessing
from model.evaluation.boundary import BoundaryQuality
from model.evaluation.calibration import LEVELS, Calibration
from model.evaluation.compare import recorded
from model.evaluation.metrics import Metrics
from model.evaluation.objects import ObjectRecall
from model.evaluation.report.candidate import MODEL_COLOURS, Candidate

CLASSES = ClassTable.named(road="#804080", sky="#4682B4", water="#2d3c96")
PICTURES = 40

HISTORY = [
    {"epoch": 1, "train_loss": 1.0, "val_loss": 1.1, "train_iou": 0.2, "val_iou": 0.1},
    {"epoch": 2, "train_loss": 0.5, "val_loss": 0.6, "train_iou": 0.5, "val_iou": 0.4},
    {"epoch": 3, "train_loss": 0.3, "val_loss": 0.7, "train_iou": 0.7, "val_iou": 0.3},
]


@pytest.fixture
def candidate(tmp_path: Path) -> Callable[..., Candidate]:
    """A function that makes a model with the given figures.

    Of 1000 pixels of each of the first two classes it gets about `right` right; the third
    class is absent. `counts` keeps counts of 40 pictures, from which all figures follow;
    `pictures` are scores of single pictures without counts, as older checkpoints have them.
    """
    made = 0

    def make(
        title: str,
        right: int | None,
        *,
        counts: bool = False,
        pictures: list[float] | None = None,
        history: list[dict] | None = None,
        **description,
    ) -> Candidate:
        nonlocal made
        path = tmp_path / f"{made} {title}"
        path.mkdir()
        made += 1
        rng = np.random.default_rng(made)
        data = {"name": "toy", "title": "Toys, painted", "digest": "d", "split_digest": "s"}
        metrics, rows = {}, []
        if right is not None:
            matrix = np.array([[right, 1000 - right, 0], [1000 - right, right, 0], [0, 0, 0]])
            if counts:
                each = [_matrix(rng, right) for _ in range(PICTURES)]
                rows = [_row(f"{i:02d}", one) for i, one in enumerate(each)]
                matrix = sum(each)
            figures = Metrics.of(matrix).to_json() | {"num_images": PICTURES}
            if counts:
                figures |= _further(right)
            metrics = {"splits": {"test": {"f32": figures}}}
        for i, score in enumerate(pictures or []):
            rows.append({"name": i, "mean_iou": score, "mean_dice": score, "accuracy": score})
        _write(path / folder.PER_IMAGE_FILE, rows)
        _write(path / folder.HISTORY_FILE, history or [])
        (path / folder.WEIGHTS_FILE).write_bytes(bytes(2_000_000))
        rated = [row["val_iou"] for row in history or [] if "val_iou" in row]
        training = {"best_epoch": 1 + rated.index(max(rated))} if rated else {}
        checkpoint = Checkpoint(
            title,
            path,
            {"_model_class": "UNet"},
            CLASSES,
            Preprocessing(64),
            {"data": data, "training": training} | description,
            metrics,
        )
        return Candidate(title, checkpoint, title, MODEL_COLOURS[made - 1], recorded(checkpoint))

    return make


def _matrix(rng: np.random.Generator, right: int) -> np.ndarray:
    hits = rng.binomial(1000, np.clip(right / 1000 + rng.normal(0, 0.03), 0, 1), 2)
    return np.array([[hits[0], 1000 - hits[0], 0], [1000 - hits[1], hits[1], 0], [0, 0, 0]])


def _row(name: str, matrix: np.ndarray) -> dict[str, object]:
    own = Metrics.of(matrix)
    return {
        "name": name,
        "mean_iou": own.mean_iou,
        "mean_dice": own.mean_dice,
        "accuracy": own.accuracy,
        "sequence": "",
        "hits": " ".join(map(str, np.diag(matrix))),
        "truth": " ".join(map(str, matrix.sum(1))),
        "predicted": " ".join(map(str, matrix.sum(0))),
    }


def _further(right: int) -> dict[str, object]:
    boundary = np.array([[right // 2] * 2 + [0], [1000] * 2 + [0], [1000] * 2 + [0]])
    objects = np.zeros((2, 3, 4), int)
    objects[1, :2], objects[0, :2] = 10, right // 100
    confidence = np.zeros((2, LEVELS), int)
    confidence[1, np.float16(0.9).view(np.uint16)] = 1000
    confidence[0, np.float16(0.9).view(np.uint16)] = right
    return {
        "boundary": BoundaryQuality(boundary).to_json(),
        "objects": ObjectRecall(objects).to_json(),
        "calibration": Calibration.of(confidence).to_json(),
    }


def _write(path: Path, rows: list[dict]) -> None:
    if rows:
        with open(path, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


@pytest.fixture
def pair(candidate) -> list[Candidate]:
    """The worse model first, both with all that an evaluation writes and a history."""
    seconds = [{**row, "seconds": 60.0} for row in HISTORY]
    better = [{**row, "val_iou": row["val_iou"] + 0.2} for row in seconds]
    return [
        candidate("Scratch", 700, counts=True, history=seconds),
        candidate("Pretrained", 850, counts=True, history=better),
    ]
