"""YOLO segmentation labels: a text file for each picture, a line for each polygon.

    class x1 y1 x2 y2 x3 y3 ...     coordinates as fractions of width and height

An empty file says that the picture is all background. Class names are looked for in
`data.yaml` (`names:`) or `classes.txt` in the folder and the two above it.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from model.data.annotations.base import AnnotationSet, as_points
from model.data.classes import VOID
from model.data.files import files_in, key_of
from model.data.polygons import Polygon, Shape
from model.data.schema import Record, parse_yaml, validate
from model.errors import DataError

LISTS = ("classes.txt", "obj.names")


class DataFile(Record):
    """The part of a `data.yaml` that says what the classes are called."""

    names: list[str] | dict[int, str]


class YoloAnnotations(AnnotationSet):
    """The `.txt` files under a folder.

    Args: class_names: in the order of their numbers; by default looked up as described above,
        else "class 0" and so on up to the largest number that occurs.
    Raises: `DataError` for a folder without label files, or a class file that is wrong.
    """

    format = "YOLO segmentation"

    def __init__(self, folder: Path, class_names: list[str] | None = None) -> None:
        self.files = {
            key_of(path.relative_to(folder)): path
            for path in files_in(folder, (".txt",))
            if path.name not in LISTS
        }
        if not self.files:
            raise DataError(f"{folder} has no YOLO label files (.txt).")
        self._names = class_names or _find_names(folder) or self._numbered()
        super().__init__(self._names)

    def names(self) -> list[str]:
        return list(self.files)

    def shapes(self, name: str, height: int, width: int) -> list[Shape]:
        shapes = []
        for origin, number, points in read_lines(self.files[name]):
            if number >= len(self._names):
                raise DataError(
                    f"{origin}: there is no class {number}; the classes are "
                    f"{dict(enumerate(self._names))}."
                )
            label = self.label_of(self._names[number], origin)
            shapes.append(Shape(label, Polygon(points * (width, height)), origin))
        return shapes

    def _numbered(self) -> list[str]:
        most = 0
        for path in self.files.values():
            with suppress(DataError):  # reported when the labels of its picture are read
                own = max((number for _, number, _ in read_lines(path)), default=0)
                most = max(most, own)
            if most >= VOID:
                raise DataError(
                    f"{path.name} has a class {most}; a mask can hold at most {VOID} classes. "
                    "If it is not a label file, move it elsewhere."
                )
        return [f"class {number}" for number in range(most + 1)]


def read_lines(path: Path) -> list[tuple[str, int, np.ndarray]]:
    """The polygons of a label file: their origin, class number, points (N, 2) as fractions.

    Raises: `DataError` naming the line.
    """
    polygons = []
    for index, line in enumerate(_lines(path), 1):
        fields = line.split()
        if not fields:
            continue
        origin = f"{path.name}, line {index}"
        try:
            number, values = int(fields[0]), [float(field) for field in fields[1:]]
        except ValueError as error:
            raise DataError(
                f"{origin}: a line must be a class number and coordinates ({error})."
            ) from error
        if number < 0:
            raise DataError(f"{origin}: the class number {number} is negative.")
        if len(values) == 4:
            raise DataError(
                f"{origin} is a box (class x y width height), not an outline: these are labels "
                "for detection, and say nothing about pixels."
            )
        points = as_points(values, origin)
        if not (np.abs(points - 0.5) <= 1.5).all():
            raise DataError(
                f"{origin}: coordinates must be fractions of the picture's width and height, "
                f"from 0 to 1; there is {points.flat[np.abs(points - 0.5).argmax()]:g}."
            )
        polygons.append((origin, number, points))
    return polygons


def _find_names(folder: Path) -> list[str] | None:
    for place in (folder, *folder.absolute().parents[:2]):
        if (path := place / "data.yaml").is_file():
            names = validate(DataFile, parse_yaml(path), path).names
            if isinstance(names, list):
                return names
            if sorted(names) != list(range(len(names))):
                raise DataError(f"{path.name}: the class numbers under names: must count from 0.")
            return [names[number] for number in sorted(names)]
        for path in (place / name for name in LISTS):
            if path.is_file():
                return [name for line in _lines(path) if (name := line.strip())]
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}.") from error
