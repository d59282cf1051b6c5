"""Masks to polygons that cover exactly their pixels, holes kept.

Outlines run along the edges between pixels: pixel (column, row) is the square from
(column, row) to (column + 1, row + 1). All coordinates are whole numbers, and filling the
outlines restores every pixel. A part is a 4-connected set of pixels: pixels that touch only at
a corner are two parts. The polygons are valid as GIS programs understand it: rings do
not cross, touch others at single points at most, and visit no point twice.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Bridge(NamedTuple):
    """How a hole is joined to another ring of its part: by a horizontal line from the hole's
    first corner to the left, through the part's own pixels.

    Attributes:
        ring: 0 for the exterior, else 1 + the index of a hole before this one.
        after: the line ends on the piece of that ring that follows its corner `after`.
        x: where it ends; its y is that of the hole's first corner.
    """

    ring: int
    after: int
    x: int


@dataclass(eq=False)
class Outline:
    """A connected part of a mask.

    Attributes:
        exterior: int64 (N, 2), x and y of its corners in pixels, clockwise on the screen
            (y down) from the upper left one, which is not repeated at the end.
        holes: the same for each hole, counterclockwise.
        bridges: for each hole.
    """

    exterior: np.ndarray
    holes: list[np.ndarray] = field(default_factory=list)
    bridges: list[Bridge] = field(default_factory=list)

    @property
    def area(self) -> int:
        """Its number of pixels."""
        return sum(_signed_area(ring) for ring in (self.exterior, *self.holes))

    def one_ring(self) -> np.ndarray:
        """Exterior and holes as a single closed line, for formats without holes.

        It goes to each hole and back along the hole's bridge. A bridge has no width and lies
        between pixels, so that filling by the even-odd rule gives the same pixels.

        Returns: int64 (N, 2), x and y in pixels.
        """
        if not self.holes:
            return self.exterior
        rings = [self.exterior, *self.holes]
        landings = [
            (bridge.x, hole[0, 1]) for bridge, hole in zip(self.bridges, self.holes, strict=True)
        ]
        points = np.concatenate([*rings, landings])
        starts = np.cumsum([0, *map(len, rings)]).tolist()  # of each ring, and of the landings
        to_leave: list[list[tuple[int, int]]] = [[] for _ in rings]
        for hole, bridge in enumerate(self.bridges, 1):
            to_leave[bridge.ring].append((bridge.after, -hole))
        for bridges in to_leave:
            # The next one at the end. Pieces with bridges run upwards, so of those on the same
            # piece the last hole is met first.
            bridges.sort(reverse=True)
        order = array("q")
        reached = starts[:-1]
        # Not by recursion, and each corner once: in noise 100,000 holes hang on one another.
        path = [0]
        while path:
            ring = path[-1]
            bridges = to_leave[ring]
            stop = starts[ring] + bridges[-1][0] + 1 if bridges else starts[ring + 1]
            order.extend(range(reached[ring], stop))
            reached[ring] = stop
            if bridges:
                hole = -bridges.pop()[1]
                order.append(starts[-1] + hole - 1)
                path.append(hole)
            else:
                path.pop()
                if ring:
                    order.extend((starts[ring], starts[-1] + ring - 1))
        return points[np.frombuffer(order, np.int64)]


def outlines(mask: np.ndarray) -> list[Outline]:
    """The connected parts of a mask, bool (H, W), in reading order of their first corners.

    Along a grid line, the corners of all outlines in their order begin and end a piece of
    outline in turn. So the corners sorted by row give the horizontal pieces, sorted by column
    the vertical ones, and following the two kinds alternately gives the rings.
    """
    corners = _Corners(mask)
    rings = sorted((_from_first(ring) for ring in corners.rings()), key=lambda ring: ring[0])
    # For the piece that starts at a corner: its outline, the ring in it, and the index in the ring.
    piece_of: dict[int, tuple[Outline, int, int]] = {}
    found = []
    for ring in rings:
        points = corners.points[ring]
        if corners.begins_part(ring[0]):
            outline, number = Outline(points), 0
            found.append(outline)
        else:
            x, start = corners.piece_left_of(ring[0])
            outline, other, after = piece_of[start]
            outline.holes.append(points)
            outline.bridges.append(Bridge(other, after, x))
            number = len(outline.holes)
        piece_of.update((corner, (outline, number, i)) for i, corner in enumerate(ring))
    return found


class _Corners:
    """The corners of a mask's outlines in reading order, and the pieces between them.

    Where two pixels touch only at a corner there are two corners, the first of which ends the
    horizontal piece on the left.
    """

    def __init__(self, mask: np.ndarray) -> None:
        self.padded = np.pad(mask, 1)
        height, width = (side + 1 for side in mask.shape)
        # The four pixels around each point of the grid.
        upper_left, upper_right = self.padded[:-1, :-1], self.padded[:-1, 1:]
        lower_left, lower_right = self.padded[1:, :-1], self.padded[1:, 1:]
        touching = (upper_left == lower_right) & (upper_right == lower_left)
        touching &= upper_left != upper_right
        turning = upper_left ^ upper_right ^ lower_left ^ lower_right
        places = np.flatnonzero(turning | touching)
        self.places = places = np.repeat(places, 1 + touching.ravel()[places])
        y, x = np.divmod(places, width)
        self.points = np.stack([x, y], axis=1)
        self.touching = touching[y, x]
        self.inside = lower_right[y, x]
        rising = upper_right[y, x]
        second = np.zeros(len(places), np.int64)
        second[1:] = places[1:] == places[:-1]
        # The two pixels that touch stay apart: the corner of the one on the left belongs to the
        # piece above if that pixel is the upper one.
        keys = 2 * (x * height + y) + np.where(self.touching & rising, 1 - second, second)
        order = np.argsort(keys)
        self._upper, self._lower = order[0::2], order[1::2]
        self._upper_keys = keys[self._upper]
        self._height = height

    def begins_part(self, corner: int) -> bool:
        """Whether the first corner of a ring is that of an exterior, not of a hole."""
        return bool(self.inside[corner])

    def piece_left_of(self, corner: int) -> tuple[int, int]:
        """The vertical piece that the part's pixels left of a hole's first corner begin at.

        Returns: its x, and the corner that it starts from.
        """
        x, y = self.points[corner].tolist()
        x -= int(self.padded[y + 1, x::-1].argmin())
        key = 2 * (x * self._height + y) + 1
        piece = np.searchsorted(self._upper_keys, key, side="right") - 1
        return x, int(self._lower[piece])

    def rings(self) -> Iterator[list[int]]:
        """Closed sequences of corners, the mask on the right of each piece."""
        corners = np.arange(len(self.points))
        vertical = np.empty_like(corners)
        vertical[self._upper], vertical[self._lower] = self._lower, self._upper
        # To the right along the upper edge of pixels, to the left along the lower edge.
        starts = corners[0::2] + ~self.inside[0::2]
        following = np.empty_like(corners)
        following[starts] = starts ^ 1
        following[starts ^ 1] = vertical[starts ^ 1]
        # Lists: single numbers are read from them several times faster than from arrays.
        steps, places, touching = following.tolist(), self.places.tolist(), self.touching.tolist()
        left = bytearray(b"\1") * len(steps)
        for corner in starts.tolist():
            ring: list[int] = []
            where: dict[int, int] = {}  # in the ring, the corners that may be met again
            while left[corner]:
                left[corner] = 0
                if touching[corner]:
                    if (before := where.get(places[corner])) is not None:
                        loop = ring[before:]  # a ring of its own
                        del ring[before:]
                        for other in loop:
                            where.pop(places[other], None)
                        yield loop
                    where[places[corner]] = len(ring)
                ring.append(corner)
                corner = steps[corner]
            if ring:
                yield ring


def _from_first(ring: list[int]) -> list[int]:
    first = ring.index(min(ring))
    return ring[first:] + ring[:first]


def _signed_area(ring: np.ndarray) -> int:
    """By the shoelace formula, positive for rings that are clockwise on the screen."""
    x, y = ring.T
    return int((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) // 2
