"""How often each class occurs in a data set, and how large its pictures are, in one pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from model.data.classes import VOID
from model.data.datasets import DataSet
from model.data.recognise import look_at_all


@dataclass
class Statistics:
    """Counts over some samples.

    Attributes:
        num_images: how many samples.
        pixels: pixels by class, int64 (C,).
        images: samples that a class occurs in, int64 (C,).
        void_pixels: pixels to ignore.
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

    def add(self, counts: np.ndarray, size_hw: tuple[int, int]) -> None:
        """Adds one sample. Args: counts: the `histogram` of its labels, int64 (256,); size_hw: its
        height and width in pixels."""
        self.num_images += 1
        self.pixels += counts[: len(self.pixels)]
        self.images += counts[: len(self.pixels)] > 0
        self.void_pixels += int(counts[VOID])
        self.sizes_wh[size_hw[::-1]] += 1

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


def histogram(labels: np.ndarray) -> np.ndarray:
    """How many pixels have each value, uint8 (H, W) -> int64 (256,)."""
    # Several times faster than bincount, which first widens each to eight bytes.
    return np.array(Image.fromarray(labels).histogram(), np.int64)


def measure(
    data: DataSet,
    names: Iterable[str],
    description: str = "counting",
    pair: Callable[[str], tuple[np.ndarray, np.ndarray]] | None = None,
) -> Statistics:
    """Counts over the named samples, in threads, with a progress bar where there are many.

    Args: pair: the function that reads a sample, by default `data.pair`.

    Raises: `DataError`, `ImageError` for samples that cannot be read.
    """
    read = pair or data.pair

    def count(name: str) -> tuple[np.ndarray, tuple[int, int]]:
        labels = read(name)[1]
        return histogram(labels), labels.shape

    statistics = Statistics.empty(len(data.classes))
    for counts, size_hw in look_at_all(count, names, description):
        statistics.add(counts, size_hw)
    return statistics
