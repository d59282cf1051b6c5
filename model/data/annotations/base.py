"""What the annotation formats have in common: named pictures, a class table, shapes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from typing import ClassVar

import numpy as np

from model.data.classes import VOID, ClassTable, default_classes
from model.data.polygons import Shape, paint
from model.errors import DataError

BACKGROUND_NAMES = ("background", "_background_", "__background__")
IGNORE_NAMES = ("__ignore__", "_ignore_", "ignore")

TOO_SHORT = "outline of fewer than three points"
"""What such an annotation is called in `skipped`."""


class AnnotationSet(ABC):
    """Shapes for a set of pictures, which are named by their path without the suffix.

    Labels count from 1 in the order of the class names; 0 is the background. A class with one
    of the `BACKGROUND_NAMES` is the background itself; with one of the `IGNORE_NAMES`, void.

    Attributes:
        format: the format's name, for people.
        classes: the class table, background included.
        skipped: how many annotations without an area (points, lines, boxes, outlines of two
            points) there are, by kind; they paint nothing.
    """

    format: ClassVar[str]

    def __init__(self, class_names: Iterable[str]) -> None:
        self.skipped: Counter[str] = Counter()
        self._label_of: dict[str, int] = {}
        painted = []
        for name in class_names:
            if name in self._label_of:
                raise DataError(f"The class name '{name}' occurs twice; class names must differ.")
            if name.casefold() in IGNORE_NAMES:
                self._label_of[name] = VOID
            elif name.casefold() in BACKGROUND_NAMES:
                self._label_of[name] = 0
            else:
                painted.append(name)
                self._label_of[name] = len(painted)
        self.classes: ClassTable = default_classes(["background", *painted])

    @abstractmethod
    def names(self) -> list[str]:
        """The pictures that there are annotations for, or that are listed as having none."""

    @abstractmethod
    def shapes(self, name: str, height: int, width: int) -> list[Shape]:
        """The shapes of a picture of this size, in the file's order. Raises `DataError`."""

    def labels(self, name: str, height: int, width: int) -> np.ndarray:
        """The labels of a picture of this size, uint8 (H, W). Raises `DataError`."""
        return paint(self.shapes(name, height, width), height, width)

    def label_of(self, class_name: str, origin: str) -> int:
        """The label of a class. Raises `DataError` naming `origin` for an unknown class."""
        if class_name not in self._label_of:
            raise DataError(
                f"{origin}: the class '{class_name}' is not one of {list(self._label_of)}."
            )
        return self._label_of[class_name]


def as_points(numbers: Iterable, origin: str) -> np.ndarray:
    """Points, float64 (N, 2), from pairs or from x y x y ... Raises `DataError` for fewer than 3
    points or an odd count of numbers."""
    values = np.asarray(list(numbers), np.float64).ravel()
    if values.size % 2 or values.size < 6:
        raise DataError(
            f"{origin}: an outline has {values.size} numbers; it needs x and y of at least three "
            "points."
        )
    return values.reshape(-1, 2)
