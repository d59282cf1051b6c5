"""The canvas, the camera in front of it, and the brushes that paint through it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from model.data.streets.colours import Colour, mix
from model.data.streets.light import Light

# Materials; those up to GRASS are ground. With the label and the roughness of each.
ROAD, SIDEWALK, GRASS, WALL, LEAF, CAR, PERSON, SKY = range(8)
LABELS = np.uint8([0, 1, 3, 2, 3, 4, 5, 6])
ROUGHNESS = np.float32([0.035, 0.03, 0.08, 0.03, 0.09, 0.01, 0.02, 0.0])

NEAR, FAR = 1.0, 160.0
UP, TO_CAMERA = (0.0, 1.0, 0.0), (0.0, 0.2, -0.98)

Ground = tuple[float, float]  # x, z
Corners = list[tuple[float, float]]  # on the canvas
Upright = tuple[float, float, float, float]  # see Scene.upright


class Scene:
    """One picture in the making: street, camera, light, and the canvas they paint on."""

    def __init__(self, rng: np.random.Generator, size_wh: tuple[int, int]) -> None:
        self.rng = rng
        self.size_wh = size_wh
        self.width, self.height = 2 * size_wh[0], 2 * size_wh[1]
        # 255 is not a material: `develop` fails on a place that was never painted.
        self.canvas = Image.new("RGBA", (self.width, self.height), (0, 0, 0, 255))
        self.shadows = Image.new("L", size_wh)
        self.brush = ImageDraw.Draw(self.canvas)
        self.light = Light.random(rng)
        self.lane = rng.uniform(2.9, 3.6)
        self.parking = 2.2 * (rng.random() < 0.6)
        self.kerb = self.lane * (1 + (rng.random() < 0.3)) + self.parking
        self.walks = {side: rng.uniform(1.6, 4.2) for side in (-1, 1)}
        self.drive = 1 if rng.random() < 0.6 else -1  # the side that cars keep to
        self.curve = rng.normal(0, 0.002)
        # The camera is mostly a driver's, now and then that of someone on foot or in a lorry.
        self.eye = rng.uniform(1.2, 2.3) if rng.random() < 0.8 else rng.uniform(2.5, 4.5)
        on_foot = rng.random() < 0.25
        self.eye_x = rng.uniform(-1, 1) * self.kerb if on_foot else self.drive * self.lane / 2
        self.horizon, self.vanishing = rng.uniform(0.38, 0.56), rng.uniform(0.3, 0.7)
        self.focal = rng.uniform(0.8, 1.25)

    def pick(self, colours: Sequence[Colour], spread: float = 14) -> Colour:
        """One of the colours, lightened or darkened and tinted a little."""
        tone, *tints = self.rng.normal(0, spread, 4).tolist()
        colour = colours[int(self.rng.random() * len(colours))]
        pairs = zip(colour, tints, strict=True)
        return [min(245.0, max(8.0, c + tone + 0.4 * tint)) for c, tint in pairs]

    def lit(self, colour: Colour, normal: Colour, z: float, shade: float = 0.0) -> Colour:
        """A surface's colour as seen from z metres away; `shade` 1 keeps all sun off."""
        light = self.light
        (nx, ny, nz), (sx, sy, sz) = normal, light.sun
        facing = nx * sx + ny * sy + nz * sz
        sun = (0.25 + 0.75 * facing) * (1 - shade) if facing > 0 else 0.0
        (r, g, b), (ar, ag, ab), (dr, dg, db) = colour, light.ambient, light.direct
        near = (r * (ar + dr * sun), g * (ag + dg * sun), b * (ab + db * sun))
        return mix(near, light.haze, 1 - math.exp(-z / light.visibility))

    def bend(self, z):
        """How far the road has turned aside at z, a number or an array."""
        return self.curve * z * z / (1 + z / 80)

    def upright(self, x, z) -> Upright:
        """Where the vertical line at (x, z) appears: column, row of its foot, pixels per metre
        upwards and across. Takes numbers or arrays; z must be positive.
        """
        scale = self.focal / z
        column = (self.vanishing + 0.75 * scale * (x + self.bend(z) - self.eye_x)) * self.width
        up = scale * self.height
        across = 0.75 * scale * self.width  # 0.75: scenes are planned for 4:3
        return column, self.horizon * self.height + self.eye * up, up, across

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Canvas coordinates of a point."""
        column, foot, up, _ = self.upright(x, z)
        return column, foot - y * up

    def sees(self, x: float, z: float) -> bool:
        """Whether (x, z) is in view, give or take a tree's width."""
        return z >= NEAR and abs(0.75 * self.focal * (x + self.bend(z) - self.eye_x) / z) < 1.2

    def shade_at(self, x: float, z: float) -> float:
        """How much a thing that stands at (x, z) is in shadow, 0 to 1."""
        u, v = (int(c / 2) for c in self.project(x, 0, z))
        inside = 0 <= u < self.size_wh[0] and 0 <= v < self.size_wh[1]
        return self.shadows.getpixel((u, v)) / 255 if inside else 0.0

    def ink(self, colour: Colour, material: int) -> tuple[int, int, int, int]:
        red, green, blue = colour
        return min(255, int(red)), min(255, int(green)), min(255, int(blue)), material

    def fill(self, corners: Corners, colour: Colour, material: int) -> None:
        """Paints a polygon of canvas coordinates: colour and material at once."""
        self.brush.polygon(corners, fill=self.ink(colour, material))

    def strip(
        self, x0: float, x1: float, z0: float, z1: float, colour: Colour, material: int
    ) -> None:
        """Paints ground along the road in plain daylight; shadows and haze come in `develop`."""
        z0, z1 = max(z0, NEAR), max(z1, NEAR)
        steps = 1 if z1 - z0 < 8 else 14
        zs = [z0 * (z1 / z0) ** (i / steps) for i in range(steps + 1)]
        left, right = ([self.project(x, 0, z) for z in zs] for x in (x0, x1))
        self.fill(left + right[::-1], self.lit(colour, UP, 0), material)

    def pane(
        self, a: Upright, b: Upright, y0: float, y1: float, colour: Colour, material: int
    ) -> None:
        """Paints the wall between two uprights from height y0 to height y1."""
        (ua, foot_a, up_a, _), (ub, foot_b, up_b, _) = a, b
        lower = [(ua, foot_a - y0 * up_a), (ub, foot_b - y0 * up_b)]
        upper = [(ub, foot_b - y1 * up_b), (ua, foot_a - y1 * up_a)]
        self.fill(lower + upper, colour, material)

    def balls(self, x, y, z, radius, colours: Sequence[Colour], material: int) -> None:
        """Paints balls; x, y, z and radius are arrays of the same length.

        The first balls get the first colour, as many again the next, and so on.
        """
        column, foot, up, across = self.upright(x, z)
        u, v, row = radius * across, radius * up, foot - y * up
        boxes = np.stack((column - u, row - v, column + u, row + v), -1).tolist()
        inks = [self.ink(colour, material) for colour in colours]
        for index, box in enumerate(boxes):
            self.brush.ellipse(box, fill=inks[index * len(inks) // len(boxes)])


def rectangle(x0: float, x1: float, z0: float, z1: float) -> list[Ground]:
    return [(x0, z0), (x1, z0), (x1, z1), (x0, z1)]


def disc(x: float, z: float, radius: float) -> list[Ground]:
    angles = (math.tau * i / 10 for i in range(10))
    return [(x + radius * math.cos(a), z + radius * math.sin(a)) for a in angles]


def smooth_noise(rng: np.random.Generator, cells: int, side: int) -> np.ndarray:
    """Noise, float32 (side, side), with mean 0 and a grain of side / cells pixels."""
    field = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(field.resize((side, side), Image.Resampling.BICUBIC))
