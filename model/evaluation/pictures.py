"""What `per_image.csv` says about single pictures, as arrays: scores, and counts that add up."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.evaluation.objects import SIZES

SCORES = ("mean_iou", "mean_dice", "accuracy")
"""Columns with the scores of a picture on its own."""

PIXELS = ("hits", "truth", "predicted")
CONTOURS = ("boundary_hits", "boundary_truth", "boundary_predicted")
OBJECTS = ("objects_found", "objects")
"""Columns with counts, see `model.checkpoints.folder`."""


@dataclass(frozen=True)
class Pictures:
    """The pictures of a split that a model was scored on, N of them, sorted by name.

    Attributes:
        names: what they are called.
        sequences: the stretch of video or tile of each, "" for pictures on their own.
        scores: by score, float64 (N,) in [0, 1], each over the classes of the picture itself.
        pixels: int64 (N, 3, C), per class the pixels that are right, in the truth, in the
            prediction. None for checkpoints that were scored before these were kept.
        contours: the same in the band along contours, int64 (N, 3, C) or None.
        objects: objects found and all by size, int64 (N, 2, 4) or None.
    """

    names: list[str]
    sequences: list[str]
    scores: dict[str, np.ndarray]
    pixels: np.ndarray | None
    contours: np.ndarray | None
    objects: np.ndarray | None

    def __len__(self) -> int:
        return len(self.names)

    def only(self, names: Iterable[str]) -> Pictures:
        """Those of the named pictures that are present."""
        wanted = set(names)
        kept = [i for i, name in enumerate(self.names) if name in wanted]
        return Pictures(
            [self.names[i] for i in kept],
            [self.sequences[i] for i in kept],
            {score: values[kept] for score, values in self.scores.items()},
            *(None if a is None else a[kept] for a in (self.pixels, self.contours, self.objects)),
        )


def read_pictures(rows: Sequence[Mapping[str, Any]], num_classes: int) -> Pictures:
    """From the rows of `per_image.csv`, or of an `Evaluation`.

    Left out are pictures without a score (nothing but void in their truth), and half-written
    rows: those that lack what others of the file have.
    """
    columns = set().union(*(row.keys() for row in rows)) if rows else set()
    shapes = {
        group: (len(group), num_classes if group != OBJECTS else len(SIZES))
        for group in (PIXELS, CONTOURS, OBJECTS)
        if columns.issuperset(group)
    }
    found: dict[str, tuple[str, list[float], list[np.ndarray]]] = {}
    for row in rows:
        try:
            scores = [float(row.get(score, "nan")) for score in SCORES]
            counts = [_counts(row, group, shape) for group, shape in shapes.items()]
        except (TypeError, ValueError):
            continue
        if row.get("name") and math.isfinite(scores[0]):
            found[row["name"]] = (row.get("sequence") or "", scores, counts)
    names = sorted(found)
    table = np.array([found[name][1] for name in names]).reshape(-1, len(SCORES))
    stacked = {
        group: np.array([found[name][2][i] for name in names], np.int64).reshape(-1, *shape)
        for i, (group, shape) in enumerate(shapes.items())
    }
    return Pictures(
        names,
        [found[name][0] for name in names],
        dict(zip(SCORES, table.T, strict=True)),
        *(stacked.get(group) for group in (PIXELS, CONTOURS, OBJECTS)),
    )


def _counts(row: Mapping[str, Any], group: Sequence[str], shape: tuple[int, int]) -> np.ndarray:
    """Raises `ValueError` for anything else."""
    cells = [[int(number) for number in str(row[name]).split()] for name in group]
    counts = np.array(cells, np.int64)  # ValueError for cells of different lengths
    if counts.shape != shape or counts.min(initial=0) < 0:
        raise ValueError(f"expected counts {shape}, got {counts.shape}")
    return counts
