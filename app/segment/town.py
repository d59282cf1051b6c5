"""A town from above, drawn from a seed: an example for models of aerial pictures.

It is planned in metres on a grid of streets that is turned as a whole, and painted from the
ground up: land, water, streets, gardens, shadows, roofs, trees.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

METRES = 320.0
"""Width of the picture."""
BLOCK = (64.0, 44.0)
STREET = 8.0
SUN = (2.2, 2.8)
"""Where the shadow of a house of two storeys ends, in metres from its foot."""

SAND = (206, 196, 180)
WATER = (24, 54, 46)
ASPHALT = (118, 116, 114)
PAVEMENT = (186, 178, 164)
LAWN = (104, 122, 72)
LEAVES = ((62, 84, 48), (74, 96, 54), (54, 74, 44))
ROOFS = ((224, 216, 202), (198, 184, 162), (170, 160, 150), (178, 118, 92), (236, 234, 228))
CARS = ((238, 238, 238), (40, 42, 46), (150, 30, 30), (120, 130, 140))

Point = tuple[float, float]


def draw(seed: int, size: tuple[int, int]) -> np.ndarray:
    """Args: size: width and height in pixels. Returns: the picture, uint8 (h, w, 3)."""
    return _Town(seed, size).picture()


class _Town:
    def __init__(self, seed: int, size: tuple[int, int]) -> None:
        self.random = np.random.default_rng(seed)
        self.size = size
        self.image = Image.new("RGB", (2 * size[0], 2 * size[1]), SAND)
        self.brush = ImageDraw.Draw(self.image)
        self.scale = self.image.width / METRES
        self.angle = self.random.uniform(-0.5, 0.5)

    def picture(self) -> np.ndarray:
        self._water()
        for corner in self._blocks():
            self._block(corner)
        small = self.image.resize(self.size, Image.Resampling.BOX)
        pixels = np.asarray(small.filter(ImageFilter.GaussianBlur(0.6)), np.float32)
        grain = self.random.normal(0, 5, (*pixels.shape[:2], 1))
        return np.clip(pixels + self._clouds() + grain, 0, 255).astype(np.uint8)

    def _clouds(self) -> np.ndarray:
        """Light and dark over wide areas, float32 (h, w, 1)."""
        coarse = self.random.normal(0, 9, (7, 9)).astype(np.float32)
        wide = Image.fromarray(coarse).resize(self.size, Image.Resampling.BICUBIC)
        return np.asarray(wide)[..., None]

    def _blocks(self) -> Iterator[Point]:
        """Lower left corners of the grid's blocks, in metres from the picture's middle."""
        for u in np.arange(-METRES, METRES, BLOCK[0] + STREET):
            for v in np.arange(-METRES, METRES, BLOCK[1] + STREET):
                yield float(u), float(v)

    def _pixels(self, points: Iterable[Point]) -> list[Point]:
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        middle = (self.image.width / 2, self.image.height / 2)
        turned = [(cos * u - sin * v, sin * u + cos * v) for u, v in points]
        return [(middle[0] + self.scale * u, middle[1] + self.scale * v) for u, v in turned]

    def _box(self, corner: Point, size: Point, colour: tuple[int, ...]) -> None:
        (u, v), (width, depth) = corner, size
        points = [(u, v), (u + width, v), (u + width, v + depth), (u, v + depth)]
        self.brush.polygon(self._pixels(points), fill=colour)

    def _disc(self, middle: Point, radius: float, colour: tuple[int, ...]) -> None:
        ((x, y),) = self._pixels([middle])
        r = self.scale * radius
        self.brush.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def _shade(self, colour: tuple[int, ...], spread: float = 10) -> tuple[int, ...]:
        return tuple(np.clip(np.array(colour) + self.random.normal(0, spread), 0, 255).astype(int))

    def _water(self) -> None:
        """A shore along one side of the grid."""
        along = np.linspace(-METRES, METRES, 40)
        self.shore = METRES * self.random.uniform(0.18, 0.32)
        waves = 6 * np.sin(along / 23) + self.random.normal(0, 1.5, 40)
        line = [(self.shore + float(wave), float(v)) for v, wave in zip(along, waves, strict=True)]
        sea = [(2 * METRES, -METRES), *line, (2 * METRES, METRES)]
        self.brush.polygon(self._pixels(sea), fill=WATER)

    def _block(self, corner: Point) -> None:
        u, v = corner
        if u + BLOCK[0] + STREET > self.shore - 10:
            return
        around = (u - STREET / 2, v - STREET / 2)
        self._box(around, (BLOCK[0] + STREET, BLOCK[1] + STREET), ASPHALT)
        self._box((u - 1.5, v - 1.5), (BLOCK[0] + 3, BLOCK[1] + 3), PAVEMENT)
        kind = self.random.choice(["houses", "park", "bare"], p=[0.72, 0.14, 0.14])
        self._box(corner, BLOCK, self._shade(LAWN if kind == "park" else SAND, 6))
        if kind == "houses":
            self._houses(corner)
        rows = (1.5, BLOCK[1] - 1.5) if kind == "houses" else np.arange(3, BLOCK[1] - 3)
        for _ in range({"houses": 10, "park": 60, "bare": 4}[kind]):
            self._tree((u + self.random.uniform(2, BLOCK[0] - 2), v + self.random.choice(rows)))
        for _ in range(self.random.integers(0, 4)):
            place = (u + self.random.uniform(0, BLOCK[0]), v - self.random.choice([3.4, 6.2]))
            self._box(place, (4.4, 1.9), CARS[self.random.integers(len(CARS))])

    def _houses(self, corner: Point) -> None:
        """Two rows of plots, a house and sometimes a lawn on each."""
        for column in range(4):
            for row in range(2):
                plot = (corner[0] + 16 * column, corner[1] + 22 * row)
                width, depth = self.random.uniform(8, 12.5), self.random.uniform(9, 15)
                foot = (plot[0] + self.random.uniform(1.5, 14.5 - width), plot[1] + 3.5)
                if self.random.random() < 0.4:
                    self._box((plot[0] + 0.5, plot[1] + 1), (15, 20), self._shade(LAWN))
                self._house(foot, (width, depth))

    def _house(self, foot: Point, size: Point) -> None:
        storeys = self.random.choice([1, 1, 2, 3])
        shadow = (foot[0] + SUN[0] * storeys / 2, foot[1] + SUN[1] * storeys / 2)
        self._box(shadow, size, (92, 84, 76))
        roof = self._shade(ROOFS[self.random.integers(len(ROOFS))])
        self._box(foot, size, tuple(int(0.86 * value) for value in roof))
        self._box((foot[0] + 0.5, foot[1] + 0.5), (size[0] - 1, size[1] - 1), roof)
        for _ in range(self.random.integers(0, 4)):
            across, along = self.random.uniform(1, size[0] - 3), self.random.uniform(1, 6)
            self._box((foot[0] + across, foot[1] + along), (1.6, 1.6), (150, 148, 146))

    def _tree(self, foot: Point) -> None:
        radius = self.random.uniform(1.4, 3.2)
        self._disc((foot[0] + 0.9, foot[1] + 1.1), radius, (70, 66, 52))
        leaves = LEAVES[self.random.integers(len(LEAVES))]
        self._disc(foot, radius, leaves)
        self._disc((foot[0] - 0.5, foot[1] - 0.5), radius / 2, tuple(v + 14 for v in leaves))
