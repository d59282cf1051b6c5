"""How often each class occurs in a data set, and how large its pictures are, in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from model.data.classes import VOID
from model.data.datasets import DataSet


@dataclass
class Statistics:
    """Counts over some samples.

    Attributes:
        num_images: how many samples.
        pixels: pixels by class, int64 (C,).
        images: samples that a class occurs in, int64 (C,).
        void_pixels: pixels that count for nothing.
        sizes_wh: how many samples have each width and height.
    """

    pixels: np.ndarray
    images: np.ndarray
    num_images: int = 0
    void_pixels: int = 0
    sizes_wh: Counter[tuple[int, int]] = field(default_factory=Counter)

    @classmethod
    def empty(cls, num_classes: int) -> Statistics:
        return cls(np.zeros(num_classes, np.int64), np.zeros(num_classes, np.int64))

    def add(self, labels: np.ndarray) -> None:
        """Counts the labels of one sample, uint8 (H, W)."""
        counts = np.bincount(labels.ravel(), minlength=VOID + 1)
        self.num_images += 1
        self.pixels += counts[: len(self.pixels)]
        self.images += counts[: len(self.pixels)] > 0
        self.void_pixels += int(counts[VOID])
        self.sizes_wh[labels.shape[::-1]] += 1

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.pixels + other.pixels,
            self.images + other.images,
            self.num_images + other.num_images,
            self.void_pixels + other.void_pixels,
            self.sizes_wh + other.sizes_wh,
        )

    @property
    def shares(self) -> np.ndarray:
        """Each class's share of the pixels that are not void, float64 (C,) in [0, 1]."""
        return self.pixels / max(1, self.pixels.sum())

    @property
    def void_share(self) -> float:
        """The share of all pixels that is void, in [0, 1]."""
        return self.void_pixels / max(1, self.void_pixels + int(self.pixels.sum()))


def measure(data: DataSet, names: Iterable[str], description: str = "counting") -> Statistics:
    """Counts over the named samples, with a progress bar on a terminal.

    Raises: `DataError`, `ImageError` for samples that cannot be read.
    """
    from tqdm import tqdm

    statistics = Statistics.empty(len(data.classes))
    for name in tqdm(list(names), description, unit="picture", disable=None):
        statistics.add(data.pair(name)[1])
    return statistics
