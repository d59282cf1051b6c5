"""LabelMe: a JSON file for each picture, with polygons, rectangles, circles and bitmaps.

Class names are those that occur, sorted, unless given. LabelMe's own reserved names
`_background_` and `__ignore__` mean background and void. Points and lines have no area and
paint nothing.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import PositiveInt

from model.data.annotations.base import TOO_SHORT, AnnotationSet, as_points
from model.data.masks import read_index
from model.data.polygons import Disc, Patch, Polygon, Region, Shape, check_range
from model.data.schema import Record, validate
from model.errors import DataError, ImageError

WITHOUT_AREA = ("point", "points", "line", "linestrip")


class LabelMeShape(Record):
    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = "polygon"
    mask: str | None = None


class LabelMeFile(Record):
    shapes: list[LabelMeShape]
    imageHeight: PositiveInt | None = None
    imageWidth: PositiveInt | None = None


class LabelMeAnnotations(AnnotationSet):
    """The content of LabelMe files, by the picture's name.

    Raises: `DataError` for a file that is not LabelMe's.
    """

    format = "LabelMe"

    def __init__(
        self, contents: dict[str, tuple[Path, Any]], class_names: list[str] | None = None
    ) -> None:
        self.files = {
            name: (path, validate(LabelMeFile, content, path))
            for name, (path, content) in contents.items()
        }
        shapes = [shape for _, file in self.files.values() for shape in file.shapes]
        super().__init__(class_names or sorted({shape.label for shape in shapes}))
        self.skipped.update(kind for shape in shapes if (kind := _without_area(shape)))

    def names(self) -> list[str]:
        return list(self.files)

    def shapes(self, name: str, height: int, width: int) -> list[Shape]:
        path, file = self.files[name]
        stated = (file.imageHeight or height, file.imageWidth or width)
        if stated != (height, width):
            raise DataError(
                f"{path.name} is for a picture of {stated[1]} x {stated[0]}, but the picture is "
                f"{width} x {height}. Annotations and pictures must be of the same version."
            )
        shapes = []
        for number, shape in enumerate(file.shapes):
            if not _without_area(shape):
                origin = f"{path.name}, shape {number} ({shape.label})"
                region = _region(shape, origin)
                try:
                    check_range(np.asarray(shape.points), height, width)
                except DataError as error:
                    raise DataError(f"{origin}: {error}") from error
                shapes.append(Shape(self.label_of(shape.label, origin), region, origin))
        return shapes


def _without_area(shape: LabelMeShape) -> str:
    """The kind of a shape that paints nothing, else no text."""
    if shape.shape_type in WITHOUT_AREA:
        return shape.shape_type
    return TOO_SHORT if shape.shape_type in (None, "polygon") and len(shape.points) < 3 else ""


def _region(shape: LabelMeShape, origin: str) -> Region:
    kind = shape.shape_type or "polygon"
    if kind == "polygon":
        return Polygon(as_points(shape.points, origin))
    if kind not in ("rectangle", "circle", "mask"):
        raise DataError(f"{origin}: shapes of the type '{kind}' are not known.")
    if kind == "rectangle" and len(shape.points) == 4:
        return Polygon(as_points(shape.points, origin))
    if len(shape.points) != 2:
        raise DataError(f"{origin}: a {kind} needs two points, but has {len(shape.points)}.")
    (x0, y0), (x1, y1) = shape.points
    if kind == "rectangle":
        return Polygon(np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]))
    if kind == "circle":
        return Disc(x0, y0, float(np.hypot(x1 - x0, y1 - y0)))
    return Patch(_bitmap(shape.mask, origin), int(x0), int(y0))


def _bitmap(text: str | None, origin: str) -> np.ndarray:
    """A LabelMe bitmap: a PNG as base64, whatever is not 0 belongs to the shape."""
    try:
        return read_index(base64.b64decode(text or "", validate=True)) != 0
    except (binascii.Error, ImageError, DataError) as error:
        raise DataError(f"{origin}: its bitmap cannot be read ({error}).") from error
