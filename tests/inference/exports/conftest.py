"""Segmentations to export: drawn by hand, and made by a network."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from model.data.classes import ClassTable
from model.inference.exports import Picture
from model.inference.segmenter import Segmentation

CLASSES = ClassTable.named(background="#000000", road="#804080", tree="#6B8E23")

RING = """
..............
.##########.11
.#........#.1.
.#.1111.#.#.11
.#.1..1.#.#...
.#.1.#1.###.#.
.#.1111......#
.#........###.
.##########..#
..............
#............1
"""
"""Class 1 is `#`, class 2 is `1`: a part in a hole of a part in a hole, corners that touch, and
parts at the border."""


@pytest.fixture(scope="session")
def segment_drawing() -> Callable[..., tuple[Segmentation, Picture]]:
    """A function from labels, uint8 (H, W), to their segmentation and a picture of noise."""

    def made(labels: np.ndarray, **maps: np.ndarray) -> tuple[Segmentation, Picture]:
        image = np.random.default_rng(0).integers(0, 256, (*labels.shape, 3), np.uint8)
        segmentation = Segmentation(labels, CLASSES, "made-up", "openvino", "f32", **maps)
        return segmentation, Picture(image, "street/first.jpg")

    return made


@pytest.fixture(scope="session", params=["ring", "noise", "empty", "full", "one pixel"])
def labels(request) -> np.ndarray:
    """Labels of three classes, uint8 (H, W)."""
    rows = [row for row in RING.split("\n") if row]
    return {
        "ring": np.uint8([[".#1".index(c) for c in row] for row in rows]),
        "noise": np.random.default_rng(1).integers(0, 3, (37, 53), np.uint8),
        "empty": np.zeros((4, 9), np.uint8),
        "full": np.full((5, 3), 2, np.uint8),
        "one pixel": np.full((1, 1), 1, np.uint8),
    }[request.param]
