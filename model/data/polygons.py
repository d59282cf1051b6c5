"""Outlines to label arrays, at full resolution.

The rules:

- Coordinates are in pixels from the picture's upper left corner; pixel (column, row) is the
  square from (column, row) to (column + 1, row + 1). What lies outside the picture is clipped.
- A pixel belongs to a polygon if its centre is inside by the even-odd rule; a centre that
  lies on a left or upper edge is inside, on a right or lower edge outside.
- Polygons from COCO files are filled by pycocotools instead, so that they agree with COCO's
  own masks to the pixel. (It rounds vertices to fifths of a pixel first.)
- Shapes are painted in the file's order: later ones cover earlier ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from model.errors import DataError


class Region(Protocol):
    """A set of pixels."""

    def mask(self, height: int, width: int) -> np.ndarray:
        """Which pixels of a picture belong to it, bool (H, W). Raises `DataError`."""


@dataclass(frozen=True)
class Shape:
    """A region and the label that its pixels get: a class id or `VOID`.

    `origin` is where it comes from, for messages: "a.txt, line 3".
    """

    label: int
    region: Region
    origin: str = "A shape"


def paint(shapes: Sequence[Shape], height: int, width: int, background: int = 0) -> np.ndarray:
    """Labels of a picture from its shapes, painted in their order, uint8 (H, W); `background`
    where there is none.

    Raises: `DataError` for a region that does not fit the picture.
    """
    labels = np.full((height, width), background, np.uint8)
    for shape in shapes:
        try:
            labels[shape.region.mask(height, width)] = shape.label
        except DataError as error:
            raise DataError(f"{shape.origin}: {error}.") from error
    return labels


@dataclass(frozen=True, eq=False)
class Polygon:
    """A closed outline. `points`: float64 (N, 2), x and y in pixels, N at least 3."""

    points: np.ndarray

    def mask(self, height: int, width: int) -> np.ndarray:
        """Scanlines: where an edge crosses the centre line of a row, inside and outside swap."""
        check_range(self.points, height, width)
        (x0, y0), (x1, y1) = self.points.T, np.roll(self.points, -1, axis=0).T
        # Rows whose centre line the edge crosses: [first, last), so that a vertex shared by
        # two edges counts once.
        first = np.ceil(np.minimum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
        last = np.ceil(np.maximum(y0, y1) - 0.5).clip(0, height).astype(np.int64)
        counts = last - first
        edge = np.repeat(np.arange(len(counts)), counts)
        row = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts - first, counts)
        along = (row + 0.5 - y0[edge]) / (y1 - y0)[edge]
        x = x0[edge] + along * (x1 - x0)[edge]
        column = np.ceil(x - 0.5).clip(0, width).astype(np.int64)
        crossings = np.zeros((height, width + 1), np.uint8)
        np.bitwise_xor.at(crossings, (row, column), 1)
        return np.bitwise_xor.accumulate(crossings, axis=1)[:, :width].astype(bool)


@dataclass(frozen=True, eq=False)
class CocoPolygon:
    """A polygon as pycocotools fills it. `points`: float64 (N, 2), N at least 3."""

    points: np.ndarray

    def mask(self, height: int, width: int) -> np.ndarray:
        from pycocotools import mask as coco

        check_range(self.points, height, width)
        (encoded,) = coco.frPyObjects([self.points.ravel().tolist()], height, width)
        return RunLengths((height, width), encoded["counts"].decode()).mask(height, width)


@dataclass(frozen=True)
class RunLengths:
    """COCO's run-length encoding: runs of outside and inside in turn, down the columns.

    Attributes:
        size_hw: height and width that the runs are for.
        counts: lengths of the runs, or the same as COCO's compressed text.
    """

    size_hw: tuple[int, int]
    counts: Sequence[int] | str

    def mask(self, height: int, width: int) -> np.ndarray:
        if self.size_hw != (height, width):
            raise DataError(
                f"a run-length mask is for {self.size_hw[1]} x {self.size_hw[0]} pixels, but the "
                f"picture has {width} x {height}"
            )
        # Not pycocotools: it reads uninitialised memory when the runs fall short.
        counts = _decompress(self.counts) if isinstance(self.counts, str) else self.counts
        if min(counts, default=0) < 0 or sum(counts) != height * width:
            raise DataError(
                f"the runs of a run-length mask add up to {sum(counts)} pixels instead of the "
                f"picture's {width} x {height}"
            )
        inside = np.arange(len(counts)) % 2 == 1
        return np.repeat(inside, counts).reshape(width, height).T


@dataclass(frozen=True)
class Disc:
    """The pixels whose centres are at most `radius` from (`x`, `y`)."""

    x: float
    y: float
    radius: float

    def mask(self, height: int, width: int) -> np.ndarray:
        rows, columns = np.ogrid[:height, :width]
        distance = np.hypot(columns + 0.5 - self.x, rows + 0.5 - self.y)
        return distance <= self.radius


@dataclass(frozen=True, eq=False)
class Patch:
    """A bool array (h, w) whose upper left pixel is at (`column`, `row`) of the picture."""

    pixels: np.ndarray
    column: int
    row: int

    def mask(self, height: int, width: int) -> np.ndarray:
        mask = np.zeros((height, width), bool)
        place = mask[max(self.row, 0) :, max(self.column, 0) :]
        pixels = self.pixels[max(-self.row, 0) :, max(-self.column, 0) :]
        h, w = np.minimum(place.shape, pixels.shape)
        place[:h, :w] = pixels[:h, :w]
        return mask


def check_range(points: np.ndarray, height: int, width: int) -> None:
    """Raises `DataError` for coordinates that make no sense in a picture of this size."""
    # Outlines may extend beyond the picture; ten times its size means that the units differ.
    limit = 10 * max(height, width)
    if not (np.abs(points) <= limit).all():
        worst = points.flat[np.abs(points).argmax()]
        raise DataError(
            f"an outline has the coordinate {worst:g}, far outside a picture of {width} x {height}"
        )


def _decompress(text: str) -> list[int]:
    """Run lengths from COCO's compressed text.

    Each number is a little-endian sequence of 5-bit digits in the characters from "0" on,
    32 added to all but its last digit, whose bit 16 is the sign; from the fourth on, numbers
    are differences to the one two places before (maskApi.c, `rleFrString`).
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        digit = ord(character) - 48
        if not 0 <= digit < 64 or shift > 60:
            raise DataError("a run-length mask is not in COCO's compressed form")
        value |= (digit & 31) << shift
        shift += 5
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    if shift:
        raise DataError("a run-length mask is cut short")
    return counts
