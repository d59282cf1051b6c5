"""Scalabel, the format of BDD100K: frames with labels, whose `poly2d` are closed outlines.

    [{"name": "a.jpg", "labels": [{"category": "road", "poly2d":
        [{"vertices": [[x, y], ...], "types": "LLCCL", "closed": true}]}]}]

or the same list under `frames`, with the categories under `config`. Vertices of type C start
a cubic Bézier curve: two control points and the end, as Scalabel draws it. Open lines (lanes)
and boxes have no area and paint nothing. Class names are those of `config`, else those that
occur, sorted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, PositiveInt

from model.data.annotations.base import TOO_SHORT, AnnotationSet, as_points
from model.data.files import key_of
from model.data.polygons import Polygon, RunLengths, Shape
from model.data.schema import Record, validate
from model.errors import DataError

CURVE_STEPS = 32
"""Straight pieces that a curve is cut into."""


class Poly2d(Record):
    vertices: list[tuple[float, float]]
    types: Annotated[str, Field(pattern="^[LC]*$")] | None = None
    closed: bool = True


class ScalabelRunLengths(Record):
    counts: str
    size: tuple[PositiveInt, PositiveInt]


class Label(Record):
    category: str | None = None
    poly2d: list[Poly2d] | None = None
    rle: ScalabelRunLengths | None = None


class Frame(Record):
    name: str
    labels: list[Label] | None = None


class Category(Record):
    name: str
    subcategories: list[Category] | None = None


class Config(Record):
    categories: list[Category]


class ScalabelFile(Record):
    frames: list[Frame]
    config: Config | None = None


class ScalabelAnnotations(AnnotationSet):
    """The frames of Scalabel files. Raises: `DataError` for files that are not Scalabel's."""

    format = "Scalabel / BDD100K"

    def __init__(
        self, contents: list[tuple[Path, Any]], class_names: list[str] | None = None
    ) -> None:
        self.frames: dict[str, tuple[Path, Frame]] = {}
        configured: list[str] = []
        for path, content in contents:
            if isinstance(content, list):
                content = {"frames": content}
            elif isinstance(content, dict) and "frames" not in content:
                content = {"frames": [content]}
            file = validate(ScalabelFile, content, path)
            for frame in file.frames:
                if key_of(frame.name) in self.frames:
                    raise DataError(f"{path.name}: there are two frames named {frame.name}.")
                self.frames[key_of(frame.name)] = (path, frame)
            if file.config:
                configured += [n for n in _leaves(file.config.categories) if n not in configured]
        labels = [label for _, frame in self.frames.values() for label in frame.labels or ()]
        occurring = sorted({label.category or "" for label in labels if _has_area(label)})
        super().__init__(class_names or configured or occurring)
        for label in labels:
            closed = sum(poly.closed for poly in label.poly2d or ())
            if short := closed - len(_outlines(label)):
                self.skipped[TOO_SHORT] += short
            elif not _has_area(label):
                self.skipped["open line" if label.poly2d else "label without an outline"] += 1

    def names(self) -> list[str]:
        return list(self.frames)

    def shapes(self, name: str, height: int, width: int) -> list[Shape]:
        path, frame = self.frames[name]
        shapes = []
        for number, label in enumerate(frame.labels or ()):
            if not _has_area(label):
                continue
            origin = f"{path.name}, {frame.name}, label {number}"
            value = self.label_of(label.category or "", origin)
            if label.rle:
                regions = [RunLengths(label.rle.size, label.rle.counts)]
            else:
                regions = [Polygon(_flatten(poly, origin)) for poly in _outlines(label)]
            shapes += [Shape(value, region, origin) for region in regions]
        return shapes


def _has_area(label: Label) -> bool:
    return bool(label.rle or _outlines(label))


def _outlines(label: Label) -> list[Poly2d]:
    return [poly for poly in label.poly2d or () if poly.closed and len(poly.vertices) > 2]


def _leaves(categories: list[Category]) -> list[str]:
    names = []
    for category in categories:
        names += _leaves(category.subcategories) if category.subcategories else [category.name]
    return names


def _flatten(poly: Poly2d, origin: str) -> np.ndarray:
    """The outline's points, float64 (N, 2), its curves cut into straight pieces."""
    vertices = as_points(poly.vertices, origin)
    types = poly.types if poly.types is not None else "L" * len(vertices)
    if len(types) != len(vertices):
        raise DataError(f"{origin}: {len(vertices)} vertices, but {len(types)} types.")
    closed = np.vstack([vertices, vertices[:1]])
    points, index = [vertices[:1]], 1
    while index < len(vertices):
        if types[index] == "L":
            points.append(vertices[index : index + 1])
            index += 1
            continue
        if index + 2 >= len(closed):
            raise DataError(f"{origin}: a curve needs two control points and an end.")
        curve = np.vstack([points[-1][-1:], closed[index : index + 3]])
        points.append(_bezier(curve))
        index += 3
    return np.vstack(points)


def _bezier(control: np.ndarray) -> np.ndarray:
    """Points (CURVE_STEPS, 2) along a cubic Bézier curve, without its start."""
    t = np.arange(1, CURVE_STEPS + 1)[:, None] / CURVE_STEPS
    weights = np.hstack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3])
    return weights @ control
