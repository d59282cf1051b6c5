"""Street scenes drawn from a seed, with exact masks: a data set without a download.

A scene is planned in metres (x to the right, y up, z ahead of the camera; the road's
middle is x = 0) and painted from far to near through one perspective camera, so the
picture's size changes its sharpness and not its content.

The canvas is RGBA with the material in the alpha channel: each fill paints colour and
material with the same edge, so picture and mask cannot drift apart. Painting happens at
twice the size without anti-aliasing; then colours are averaged, and materials, of which
labels follow, are decided by majority.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from model.data.classes import ClassTable

CLASSES = ClassTable.named(
    road="#804080",
    sidewalk="#F423E8",
    building="#464646",
    vegetation="#6B8E23",
    car="#00008E",
    person="#DC143C",
    sky="#4682B4",
)
VERSION = 1
"""Part of the data set's digest: raise it when the drawing changes."""

# Materials; those up to GRASS are ground. With the label and the roughness of each.
ROAD, SIDEWALK, GRASS, WALL, LEAF, CAR, PERSON, SKY = range(8)
LABELS = np.uint8([0, 1, 3, 2, 3, 4, 5, 6])
ROUGHNESS = np.float32([0.035, 0.03, 0.08, 0.03, 0.09, 0.01, 0.02, 0.0])

NEAR, FAR = 1.0, 160.0
UP, TO_CAMERA = (0.0, 1.0, 0.0), (0.0, 0.2, -0.98)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)

Colour = Sequence[float]
Ground = tuple[float, float]  # x, z
Corners = list[tuple[float, float]]  # on the canvas
Upright = tuple[float, float, float, float]  # see Scene.upright

# Many of these are close to another class' usual colour, so that colour alone decides little.
WALLS = (
    *((150, 80, 62), (172, 110, 84), (205, 190, 162), (188, 178, 168), (128, 128, 131)),
    *((104, 106, 110), (146, 168, 190), (172, 186, 160), (218, 206, 190), (200, 160, 110)),
)
LEAVES = (
    *((72, 108, 44), (58, 92, 48), (96, 122, 56), (84, 98, 40), (120, 128, 58)),
    *((168, 122, 48), (150, 84, 48), (190, 150, 160)),
)
PAINTS = (
    *((205, 207, 210), (150, 153, 158), (100, 102, 106), (44, 46, 50), (112, 148, 190)),
    *((52, 84, 140), (74, 104, 66), (120, 140, 96), (160, 40, 36), (214, 170, 50)),
)
CLOTHES = (
    *((44, 48, 62), (112, 114, 118), (70, 62, 56), (98, 112, 70), (88, 124, 168)),
    *((160, 44, 48), (210, 204, 194), (206, 160, 60), (120, 70, 100), (180, 130, 100)),
)
SKINS = ((232, 190, 160), (198, 148, 112), (142, 98, 70), (92, 64, 48))
HAIRS = ((40, 30, 26), (90, 62, 40), (160, 150, 140))
# Length, heights of belt line and roof, lengths of bonnet and boot, in metres.
CARS = (
    *((3.9, 0.88, 1.48, 1.0, 0.1), (4.6, 0.88, 1.44, 1.2, 0.8), (4.6, 1.02, 1.72, 1.1, 0.1)),
    *((4.3, 0.9, 1.46, 1.1, 0.25), (5.2, 1.15, 2.1, 0.6, 0.02), (9.0, 1.3, 2.9, 0.02, 0.02)),
)


def mix(first: Colour, second: Colour, share: float) -> tuple[float, float, float]:
    """The colour that lies `share` (0 to 1) of the way from `first` to `second`."""
    (a, b, c), (d, e, f) = first, second
    return a + (d - a) * share, b + (e - b) * share, c + (f - c) * share


@dataclass
class Light:
    """Sun, sky and air. Tints multiply colours; `sun` is a unit vector that points to it."""

    sun: tuple[float, float, float]
    direct: Colour
    ambient: Colour
    zenith: Colour
    haze: Colour
    visibility: float
    cover: float  # share of the sky that clouds hide
    dusk: float  # 0 by day, 1 when lamps are lit

    @classmethod
    def random(cls, rng: np.random.Generator) -> Light:
        degrees = rng.uniform(4, 20) if rng.random() < 0.4 else rng.uniform(20, 65)
        altitude, azimuth = math.radians(degrees), rng.uniform(-math.pi, math.pi)
        cover = rng.beta(0.7, 0.9)
        low = max(0.0, 1 - degrees / 20)
        dusk = low * rng.random()
        level = 1 - 0.45 * dusk
        direct = mix((0.66, 0.62, 0.54), (0.80, 0.52, 0.28), low)
        ambient = mix((0.44, 0.47, 0.54), (0.76, 0.78, 0.80), cover)
        haze = mix(mix((196, 214, 232), (244, 196, 150), low), (196, 199, 203), cover)
        zenith = mix(mix((72, 128, 200), (88, 110, 168), low), (166, 173, 182), cover * 0.9)
        flat = math.cos(altitude)
        return cls(
            sun=(flat * math.sin(azimuth), math.sin(altitude), flat * math.cos(azimuth)),
            direct=mix(BLACK, direct, level * (1 - 0.92 * cover)),
            ambient=mix(BLACK, mix(ambient, (0.48, 0.48, 0.62), dusk), level),
            zenith=mix(BLACK, zenith, level),
            haze=mix(BLACK, haze, 1 - 0.3 * dusk),
            visibility=math.exp(rng.uniform(math.log(70), math.log(900))),
            cover=cover,
            dusk=dusk,
        )


class Scene:
    """One picture in the making: street, camera, light, and the canvas they paint on."""

    def __init__(self, rng: np.random.Generator, size_wh: tuple[int, int]) -> None:
        self.rng = rng
        self.size_wh = size_wh
        self.width, self.height = 2 * size_wh[0], 2 * size_wh[1]
        # 255 is no material: `develop` fails on a place that nobody has painted.
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

        The first balls get the first colour, equally many the next, and so on.
        """
        column, foot, up, across = self.upright(x, z)
        u, v, row = radius * across, radius * up, foot - y * up
        boxes = np.stack((column - u, row - v, column + u, row + v), -1).tolist()
        inks = [self.ink(colour, material) for colour in colours]
        for index, box in enumerate(boxes):
            self.brush.ellipse(box, fill=inks[index * len(inks) // len(boxes)])


@dataclass
class Thing:
    """Something that stands on the ground and throws a shadow.

    Things are painted in the order of falling `distance`. The shadow is that of a prism
    on `outline` between the heights `bottom` and `top`.
    """

    distance: float
    paint: Callable[[], None]
    outline: list[Ground]
    bottom: float
    top: float
    contact: float = 0.0  # darkness right below the thing, whatever the weather


def rectangle(x0: float, x1: float, z0: float, z1: float) -> list[Ground]:
    return [(x0, z0), (x1, z0), (x1, z1), (x0, z1)]


def disc(x: float, z: float, radius: float) -> list[Ground]:
    angles = (math.tau * i / 10 for i in range(10))
    return [(x + radius * math.cos(a), z + radius * math.sin(a)) for a in angles]


# Sky and ground


def smooth_noise(rng: np.random.Generator, cells: int, side: int) -> np.ndarray:
    """Noise, float32 (side, side), with mean 0 and a grain of side / cells pixels."""
    field = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
    return np.asarray(field.resize((side, side), Image.Resampling.BICUBIC))


def paint_sky(scene: Scene) -> None:
    light, side = scene.light, 96  # soft enough to be stretched to any size
    up = np.linspace(1, 0, side, dtype=np.float32)[:, None, None]
    haze, zenith = np.float32(light.haze), np.float32(light.zenith)
    colours = haze + (zenith - haze) * up**0.7 * np.ones((1, side, 1), np.float32)
    clouds = sum(smooth_noise(scene.rng, 4 * 2**i, side) / 1.7**i for i in range(4))
    clouds = (clouds - 1.1 + 2.6 * light.cover)[..., None]
    white = (252 - (50 + 25 * clouds) * light.cover - 70 * light.dusk) * mix(
        (1, 1, 1), haze / haze.max(), 0.8
    )
    colours += (white - colours) * (clouds * 0.9).clip(0, 0.85) * up**0.3
    if light.sun[2] > 0.1:
        across, height, ahead = light.sun
        u = scene.vanishing + 0.75 * scene.focal * across / ahead
        v = 1 - scene.focal * height / ahead / scene.horizon
        us = (np.linspace(0, 1, side, dtype=np.float32)[None, :, None] - u) / 0.75
        distance = np.hypot(us, (1 - up - v) * scene.horizon)
        glow = (1 - light.cover) * (0.8 * np.exp(-6 * distance) + (distance < 0.03))
        colours += (np.float32((255, 244, 214)) - colours) * glow.clip(0, 1)
    sky = Image.fromarray(colours.clip(0, 255).astype(np.uint8))
    rows = int(scene.horizon * scene.size_wh[1]) + 2  # down to the first row of ground
    sky = sky.resize((scene.size_wh[0], rows), Image.Resampling.BILINEAR)
    sky = sky.resize((scene.width, 2 * rows), Image.Resampling.NEAREST)
    sky.putalpha(SKY)
    scene.canvas.paste(sky)


def paint_skyline(scene: Scene) -> None:
    """What closes the view: distant blocks, and trees before them."""
    rng = scene.rng
    x, scale = -160.0, rng.uniform(4, 30)
    while x < 160:
        width, top = rng.uniform(8, 30), scale * rng.uniform(0.3, 1.6)
        if rng.random() < 0.75:
            colour = scene.lit(scene.pick(WALLS), TO_CAMERA, rng.uniform(130, 220))
            left, right = scene.upright(x, FAR), scene.upright(x + width, FAR)
            scene.pane(left, right, 0, top, colour, WALL)
        x += width
    for _ in range(3):
        leaf = scene.lit(scene.pick(LEAVES[:4]), UP, 130)
        x, y, radius = rng.uniform((-150, 0, 2), (150, 3, 5), (rng.integers(1, 25), 3)).T
        scene.balls(x, y, np.full_like(x, FAR), radius, [leaf], LEAF)


def paint_ground(scene: Scene, streets: list[tuple[int, float, float]]) -> None:
    """Verges, sidewalks, road and side streets (side, z0, z1)."""
    rng, kerb = scene.rng, scene.kerb
    asphalt = mix((84, 84, 88), (132, 130, 128), rng.random())
    paving = scene.pick(((168, 162, 156), (150, 150, 152), (128, 126, 126), (176, 150, 132)), 8)
    joint, curbstone = mix(paving, BLACK, 0.22), mix(paving, (235, 235, 230), 0.45)
    for side in (-1, 1):
        verge = scene.pick(((104, 128, 62), (126, 130, 72), (86, 116, 58)), 8)
        start, edge = side * kerb, side * (kerb + scene.walks[side])
        scene.strip(edge, side * 8000, NEAR, 30 * FAR, verge, GRASS)
        scene.strip(start, edge, NEAR, 30 * FAR, paving, SIDEWALK)
        for z in np.arange(2, 26, rng.uniform(1.0, 2.4)).tolist():
            scene.strip(start, edge, z, z + 0.03 + z / 400, joint, SIDEWALK)
        scene.strip(start, start + side * 0.18, NEAR, FAR, curbstone, SIDEWALK)
    scene.strip(-kerb, kerb, NEAR, 30 * FAR, asphalt, ROAD)
    for side, z0, z1 in streets:
        scene.strip(side * (kerb - 0.1), side * 60, z0, z1, asphalt, ROAD)
    for _ in range(rng.integers(2, 9)):  # repairs
        x, z, width, length = rng.uniform((-kerb, 2, 0.5, 1), (kerb - 1, 40, 2, 8)).tolist()
        tone = mix(asphalt, (30, 30, 30) if rng.random() < 0.7 else (190, 190, 190), 0.22)
        scene.strip(x, min(kerb, x + width), z, z + length, tone, ROAD)
    paint_markings(scene, asphalt)


def paint_markings(scene: Scene, asphalt: Colour) -> None:
    rng, kerb, lane = scene.rng, scene.kerb, scene.lane
    white = mix(asphalt, (236, 236, 230), rng.uniform(0.4, 1))
    yellow = mix(asphalt, (226, 178, 60), 0.8)
    middle = yellow if rng.random() < 0.3 else white
    length, gap = ((3, 4), (2, 3), (5, 0))[rng.integers(3)]
    for x in (i * lane for i in (-1, 0, 1) if abs(i * lane) < kerb - 2.5):
        for z in np.arange(rng.uniform(0, 4), 60, length + gap).tolist():
            scene.strip(x - 0.08, x + 0.08, z, z + length, white if x else middle, ROAD)
    if scene.parking and rng.random() < 0.7:
        for x in (scene.parking - kerb, kerb - scene.parking):
            scene.strip(x - 0.05, x + 0.05, NEAR, FAR, white, ROAD)
    if rng.random() < 0.4:  # a crosswalk and its stop line
        z = rng.uniform(5, 22)
        for x in np.arange(0.5 - kerb, kerb - 0.5).tolist():
            scene.strip(x, x + 0.5, z, z + 3, white, ROAD)
        scene.strip(0, scene.drive * kerb, z - 1.6, z - 1.2, white, ROAD)


def hull(points: list[Ground]) -> list[Ground]:
    """The convex hull of some points (Andrew's monotone chain)."""

    def chain(ordered: list[Ground]) -> list[Ground]:
        kept: list[Ground] = []
        for x, z in ordered:
            while len(kept) > 1:
                (ax, az), (bx, bz) = kept[-2:]
                if (bx - ax) * (z - az) > (bz - az) * (x - ax):
                    break
                kept.pop()
            kept.append((x, z))
        return kept[:-1]

    points = sorted(points)
    return chain(points) + chain(points[::-1])


def ahead(polygon: list[Ground]) -> list[Ground]:
    """The part of a polygon that lies ahead of the camera."""
    kept = []
    for (x0, z0), (x1, z1) in zip(polygon[-1:] + polygon[:-1], polygon, strict=True):
        if (z0 < NEAR) != (z1 < NEAR):
            kept.append((x0 + (x1 - x0) * (NEAR - z0) / (z1 - z0), NEAR))
        if z1 >= NEAR:
            kept.append((x1, z1))
    return kept


def cast_shadows(scene: Scene, things: Sequence[Thing]) -> None:
    """Fills `scene.shadows`: where things keep the sun off the ground, and right below them."""
    brush, sun, sunny = ImageDraw.Draw(scene.shadows), scene.light.sun, 1 - scene.light.cover
    shift = min(4.0, 1 / max(sun[1], 0.05))  # along the ground for each metre of height

    def darken(outline: list[Ground], darkness: float) -> None:
        corners = [scene.project(x, 0, z) for x, z in ahead(outline)]
        if len(corners) > 2:
            brush.polygon([(u / 2, v / 2) for u, v in corners], fill=int(255 * darkness))

    for thing in things if sunny > 0.15 else ():
        if thing.distance > 80:  # too flat to be seen
            continue
        swept = [
            (x - sun[0] * shift * y, z - sun[2] * shift * y)
            for y in (thing.bottom, thing.top)
            for x, z in thing.outline
        ]
        darken(hull(swept), sunny)
    for thing in things:
        if thing.contact:
            darken(thing.outline, max(sunny, thing.contact))
    softness = ImageFilter.BoxBlur(scene.size_wh[0] / 320)
    scene.shadows = scene.shadows.filter(softness)


# Things


def paint_wall(
    scene: Scene, a: Ground, b: Ground, normal: Colour, colour: Colour, floors: int, shop: bool
) -> None:
    """A wall over the line from a to b, with windows and perhaps a shop."""
    rng, top, (ax, az), (bx, bz) = scene.rng, 3.1 * floors, a, b
    z = (az + bz) / 2
    left, right = scene.upright(*a), scene.upright(*b)
    frame = scene.lit(mix(colour, WHITE, 0.4), normal, z)
    scene.pane(left, right, 0, top, scene.lit(colour, normal, z), WALL)
    scene.pane(left, right, top - 0.3, top, frame, WALL)
    bays = max(1, round(math.dist(a, b) / rng.uniform(2.2, 3.6)))
    half, sill, tall = rng.uniform((0.2, 0.5, 1.2), (0.42, 1.1, 1.8)).tolist()
    glass = [
        scene.lit(mix((34, 40, 50), scene.light.zenith, share), normal, z, shade=0.7)
        for share in (0.0, 0.15, 0.35, 0.6)
    ] + [(244, 206, 130)] * round(4 * scene.light.dusk)
    choices = rng.integers(0, len(glass), (bays, floors)).tolist()

    def at(share: float) -> Upright:
        return scene.upright(ax + (bx - ax) * share, az + (bz - az) * share)

    for bay, choice in enumerate(choices) if z < 70 else ():
        if not scene.sees(ax + (bx - ax) * bay / bays, az + (bz - az) * bay / bays):
            continue
        middle, rim = (bay + 0.5) / bays, half + 0.04
        left, right = at(middle - half / bays), at(middle + half / bays)
        outer_left, outer_right = at(middle - rim / bays), at(middle + rim / bays)
        for floor in range(int(shop), floors):
            y = 3.1 * floor + sill
            if z < 30:
                scene.pane(outer_left, outer_right, y - 0.1, y + tall + 0.1, frame, WALL)
            scene.pane(left, right, y, y + tall, glass[choice[floor]], WALL)
        if shop:
            left, right = at((bay + 0.05) / bays), at((bay + 0.95) / bays)
            scene.pane(left, right, 0.3, 2.4, glass[choice[0]], WALL)
    if shop:
        awning = scene.lit(scene.pick(CLOTHES), normal, z)
        scene.pane(at(0), at(1), 2.3, 3.0, awning, WALL)


def paint_building(scene: Scene, side: int, x: float, z0: float, z1: float, floors: int) -> None:
    """A block whose front stands at side * x, from z0 to z1; low ones have a gabled roof."""
    rng, z0 = scene.rng, max(z0, NEAR)
    front, middle, back = side * x, side * (x + 5), side * (x + 10)
    colour, top = scene.pick(WALLS), 3.1 * floors
    if floors <= 3:
        ridge = top + rng.uniform(1.5, 3.5)
        tiles = scene.pick(((120, 62, 48), (84, 80, 82), (110, 96, 84)))
        eaves = [scene.project(front, top, z) for z in (z0, z1)]
        slope = [*eaves, scene.project(middle, ridge, z1), scene.project(middle, ridge, z0)]
        scene.fill(slope, scene.lit(tiles, (-0.6 * side, 0.8, 0), (z0 + z1) / 2), WALL)
        gable = [eaves[0], slope[3], scene.project(back, top, z0)]
        scene.fill(gable, scene.lit(colour, TO_CAMERA, z0), WALL)
    paint_wall(scene, (front, z0), (back, z0), TO_CAMERA, colour, floors, shop=False)
    shop = rng.random() < 0.4
    paint_wall(scene, (front, z0), (front, z1), (-side, 0.0, 0.0), colour, floors, shop)


def paint_leaves(
    scene: Scene, x: float, y: float, z: np.ndarray, wide: float, high: float, green: Colour
) -> None:
    """A crown or a bush: dark blobs, then lighter and smaller ones towards the sun.

    `z` (n,) are the blobs' distances from far to near; they spread over an ellipse at x, y.
    """
    rng, sun = scene.rng, scene.light.sun
    shade = 0.5 * scene.shade_at(x, z[-1])
    colours = [
        scene.lit(mix(BLACK, green, tone), (0, 0.8, -0.6), z[-1], shade)
        for tone in (0.55, 0.8, 1.08)
    ]
    size, drift = np.repeat(((0.5, 0.34, 0.2), (0.0, 0.08, 0.2)), len(z), axis=1)
    angle, reach, radius = rng.random((3, len(size)))
    angle, reach = angle * math.tau, np.sqrt(reach) * (1 - size)
    xs = x + wide * (np.cos(angle) * reach + drift * sun[0])
    ys = y + high * (np.sin(angle) * reach + drift)
    radii = min(wide, high) * size * (0.6 + 0.5 * radius)
    scene.balls(xs, ys, np.tile(z, 3), radii, colours, LEAF)


def paint_tree(scene: Scene, x: float, z: float, height: float, crown: float) -> None:
    if not scene.sees(x, z):
        return
    bark = scene.lit(scene.pick(((92, 74, 60), (110, 100, 92)), 8), TO_CAMERA, z)
    thick = 0.025 * height
    left, right = scene.upright(x - thick, z), scene.upright(x + thick, z)
    scene.pane(left, right, 0, height * 0.6, bark, LEAF)
    depths = np.full(27 if z < 20 else 11 if z < 40 else 5, z)
    green, stretch = scene.pick(LEAVES, 10), scene.rng.uniform(0.9, 1.3)
    paint_leaves(scene, x, height - crown, depths, crown, crown * stretch, green)


def paint_hedge(scene: Scene, x: float, z0: float, z1: float, height: float) -> None:
    z0 = max(z0, 2.5)
    if z1 <= z0 or not scene.sees(x, z1):
        return
    green = scene.pick(LEAVES[:5], 8)
    core = scene.lit(mix(BLACK, green, 0.55), TO_CAMERA, z1)
    scene.pane(scene.upright(x, z0), scene.upright(x, z1), 0, height * 0.8, core, LEAF)
    depths = np.linspace(z1, z0, 40 if z0 < 20 else 15)
    paint_leaves(scene, x, height * 0.5, depths, height * 0.6, height * 0.6, green)


def part(face: Corners, u0: float, v0: float, u1: float, v1: float) -> Corners:
    """A part of a face (bottom left, bottom right, top right, top left); u, v in [0, 1].

    Interpolates on the canvas: on something as short as a car the perspective hardly shows.
    """
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = face
    corners = []
    for u, v in ((u0, v0), (u1, v0), (u1, v1), (u0, v1)):
        a, b, c, d = (1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v
        corners.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy))
    return corners


def box_faces(
    scene: Scene, low: Sequence[float], high: Sequence[float], y0: float, y1: float
) -> tuple[Corners, Corners, Corners, int]:
    """Top, visible side and near end of a box between two rectangles (x0, x1, z0, z1).

    Last comes the direction in which the visible side faces: 1 is right, -1 left.
    """
    a = [scene.project(x, y0, z) for x, z in rectangle(*low)]
    b = [scene.project(x, y1, z) for x, z in rectangle(*high)]
    right = low[0] + low[1] + 2 * scene.bend(low[2]) < 2 * scene.eye_x
    near, far = (1, 2) if right else (0, 3)
    return b, [a[near], a[far], b[far], b[near]], [a[0], a[1], b[1], b[0]], 1 if right else -1


def paint_car(scene: Scene, x: float, z: float, kind: tuple[float, ...], coming: bool) -> None:
    """A car from x (its middle) and z (its near end) on; `kind` as in `CARS`."""
    length, belt, top, bonnet, boot = kind
    if not scene.sees(x, z + length):
        return
    rng, light = scene.rng, scene.light
    half, paint, shade = 0.9 + 0.08 * (top > 1.6), scene.pick(PAINTS, 10), scene.shade_at(x, z)
    before, behind = (bonnet, boot) if coming else (boot, bonnet)
    tyre, hub, trim, plate = (
        scene.lit(colour, TO_CAMERA, z, shade)
        for colour in ((26, 26, 28), (150, 150, 154), (44, 44, 46), (225, 222, 205))
    )
    glass = mix((30, 34, 40), light.haze, rng.uniform(0.1, 0.5))
    glass = scene.lit(glass, TO_CAMERA, z, max(0.5, shade))
    for u in (x - half + 0.03, x + half - 0.27):
        scene.pane(scene.upright(u, z + 0.4), scene.upright(u + 0.24, z + 0.4), 0, 0.5, tyre, CAR)

    low = (x - half, x + half, z, z + length)
    waist = (x - half + 0.05, x + half - 0.05, z + 0.05, z + length - 0.05)
    lid, side, end, turn = box_faces(scene, low, waist, 0.25, belt)
    above, beside, facing = (
        scene.lit(paint, normal, z, shade) for normal in (UP, (turn, 0.2, 0), TO_CAMERA)
    )
    scene.fill(side, beside, CAR)
    for axle in (0.8, length - 0.8) if z < 40 else ():
        for radius, tone in ((0.34, tyre), (0.18, hub)):
            rim = disc(z + axle, 0.33, radius)
            scene.fill([scene.project(x + turn * half, v, u) for u, v in rim], tone, CAR)
    scene.fill(lid, above, CAR)
    scene.fill(end, facing, CAR)

    base = (x - half + 0.06, x + half - 0.06, z + before, z + length - behind)
    slant = 0.22 if top < 2 else 0.06  # vans and buses are boxes
    roof = (base[0] + slant, base[1] - slant, base[2] + 2 * slant, base[3] - 2 * slant)
    lid, side, back, _ = box_faces(scene, base, roof, belt, top)
    scene.fill(side, beside, CAR)
    doors = 2 if length < 6 else 5
    for door in range(doors):
        scene.fill(part(side, (door + 0.1) / doors, 0.12, (door + 0.92) / doors, 0.86), glass, CAR)
    scene.fill(lid, above, CAR)
    scene.fill(back, facing, CAR)
    scene.fill(part(back, 0.07, 0.12, 0.93, 0.86), glass, CAR)

    lamp = (240, 238, 226) if coming else (176, 26, 22)
    lamp = lamp if light.dusk > 0.3 else scene.lit(lamp, TO_CAMERA, z, shade)
    for u in (0.04, 0.8):
        scene.fill(part(end, u, 0.52, u + 0.16, 0.8), lamp, CAR)
    scene.fill(part(end, 0, 0, 1, 0.22), trim, CAR)
    scene.fill(part(end, 0.37, 0.3, 0.63, 0.46), plate, CAR)
    if coming:
        scene.fill(part(end, 0.26, 0.56, 0.74, 0.78), trim, CAR)


def paint_person(scene: Scene, x: float, z: float, height: float) -> None:
    """Someone who walks or stands. Lengths are those of a person of 1.75 m."""
    if not scene.sees(x, z):
        return
    rng, shade = scene.rng, scene.shade_at(x, z)
    shirt, trousers, skin, hair = (
        scene.lit(scene.pick(colours, 12), (0.3, 0.3, -0.9), z, shade)
        for colours in (CLOTHES, CLOTHES[:5], SKINS, HAIRS)
    )
    column, foot, up, across = scene.upright(x, z)
    across, up = across * height / 1.75, up * height / 1.75
    stride, swing, wide = rng.uniform((-0.28, -0.2, 0.15), (0.28, 0.2, 0.24)).tolist()

    def shape(points: Corners, colour: Colour) -> None:
        scene.fill([(column + across * u, foot - up * v) for u, v in points], colour, PERSON)

    def limb(u0: float, v0: float, u1: float, v1: float, thick: float, colour: Colour) -> None:
        shape([(u0 - thick, v0), (u0 + thick, v0), (u1 + thick, v1), (u1 - thick, v1)], colour)

    limb(-wide, 1.42, -wide - 0.05 - swing, 0.85, 0.055, mix(shirt, BLACK, 0.25))
    for step, colour in ((stride, mix(trousers, BLACK, 0.2)), (-stride, trousers)):
        limb(math.copysign(0.07, step), 0.9, step, 0.05, 0.08, colour)
        limb(step + 0.03, 0.07, step + 0.04, 0.0, 0.1, (26, 24, 24))
    hem = 0.82 if rng.random() < 0.7 else 0.5  # jacket or coat
    shoulders = [(wide, 1.4), (0.08, 1.5), (-0.08, 1.5), (-wide, 1.4)]
    shape([(-wide * 0.85, hem), (wide * 0.85, hem), *shoulders], shirt)
    limb(wide - 0.02, 1.42, wide + 0.04 + swing, 0.85, 0.055, mix(shirt, BLACK, 0.1))
    shape(disc(wide + 0.04 + swing, 0.82, 0.05), skin)
    shape(disc(0, 1.64, 0.12), hair)
    if rng.random() < 0.6:  # faces us
        shape(disc(swing * 0.1, 1.62, 0.095), skin)


# Plans


def plan_tree(scene: Scene, x: float, z: float) -> Thing:
    height = scene.rng.uniform(4, 10)
    crown = height * scene.rng.uniform(0.22, 0.36)
    paint = partial(paint_tree, scene, x, z, height, crown)
    return Thing(z, paint, disc(x, z, crown * 0.8), height - 1.8 * crown, height)


def plan_lots(scene: Scene, side: int, streets: list[tuple[int, float, float]]) -> list[Thing]:
    """What lines one side: blocks, gardens, trees along the kerb; appends to `streets`."""
    rng, edge = scene.rng, scene.kerb + scene.walks[side]
    urban = rng.random() < 0.6
    setback = 0.0 if urban else rng.uniform(2, 6)
    storeys = rng.integers(3, 9) if urban else 2
    things = []
    z = rng.uniform(-8, 2)
    while z < FAR - 30:
        length, kind = rng.uniform(8, 22), rng.random()
        z0, z = z, z + length
        if z < 4:
            continue
        if kind < 0.12 and z0 > 10:
            z = z0 + rng.uniform(6, 9)
            streets.append((side, z0, z))
            continue
        if kind < (0.85 if urban else 0.7):
            x, start = edge + setback, z0 + (0 if urban else rng.uniform(1, 3))
            floors = max(1, int(storeys + rng.integers(-2, 3)))
            paint = partial(paint_building, scene, side, x, start, z, floors)
            outline = rectangle(side * x, side * (x + 10), start, z)
            things.append(Thing(z, paint, outline, 0, 3.1 * floors))
        else:
            places = rng.uniform((edge + 2, max(z0, 6)), (edge + 9, max(z, 7)), (3, 2)).tolist()
            things += [plan_tree(scene, side * x, tree_z) for x, tree_z in places]
        if not urban and z0 < 60 and rng.random() < 0.6:
            x, tall = side * (edge + 0.5), rng.uniform(0.7, 1.6)
            paint = partial(paint_hedge, scene, x, z0, z, tall)
            things.append(Thing(z - 0.1, paint, rectangle(x - 0.4, x + 0.4, z0, z), 0, tall))
    if rng.random() < 0.5:
        crossings = [street for street in streets if street[0] == side]
        for z in np.arange(7, 80, rng.uniform(8, 16)).tolist():
            if not any(z0 - 1 < z < z1 + 1 for _, z0, z1 in crossings):
                things.append(plan_tree(scene, side * (scene.kerb + 0.7), z))
    return things


def plan_cars(scene: Scene) -> list[Thing]:
    """Cars that are driven, and cars parked along the kerb."""
    rng, things = scene.rng, []
    for side in (-1, 1):
        rows = [(scene.lane / 2, rng.uniform(8, 40), rng.uniform(6, 26))]
        if scene.kerb - scene.parking > 1.5 * scene.lane:
            rows.append((scene.lane * 1.5, rng.uniform(8, 50), rng.uniform(6, 26)))
        if scene.parking:
            rows.append((scene.kerb - 1.1, rng.uniform(0.8, 8), rng.uniform(4, 16)))
        for row, mean_gap, z in rows:
            while z < 80:
                kind = CARS[int(rng.random() ** 1.3 * len(CARS))]  # the long ones are rarer
                x = side * row + rng.normal(0, 0.12)
                paint = partial(paint_car, scene, x, z, kind, side != scene.drive)
                outline = rectangle(x - 0.85, x + 0.85, z + 0.1, z + kind[0])
                things.append(Thing(z, paint, outline, 0.2, kind[2], contact=0.85))
                z += kind[0] + 1 + rng.exponential(mean_gap)
    return things


def plan_people(scene: Scene) -> list[Thing]:
    """People on the sidewalks, and some on the road."""
    rng, things = scene.rng, []
    for _ in range(rng.integers(3, 13)):
        side = 1 if rng.random() < 0.5 else -1
        z = math.exp(rng.uniform(math.log(4.5), math.log(40)))
        x = side * (scene.kerb + rng.uniform(0.4, scene.walks[side] - 0.4))
        if rng.random() < 0.2:
            x = rng.uniform(-scene.kerb, scene.kerb)
        height = rng.uniform(1.5, 1.95) if rng.random() < 0.85 else rng.uniform(1.0, 1.4)
        paint = partial(paint_person, scene, x, z, height)
        things.append(Thing(z, paint, disc(x, z, 0.22), 0, height, contact=0.6))
    return things


# Picture


def majority(values: np.ndarray) -> np.ndarray:
    """Halves an array (2H, 2W) by the commonest of four values; of equals the upper left."""
    height, width = values.shape[0] // 2, values.shape[1] // 2
    quarters = values.reshape(height, 2, width, 2).transpose(1, 3, 0, 2)
    a, b, c, d = quarters.reshape(4, height, width)
    alone = (a != b) & (a != c) & (a != d)
    return np.where(alone & ((b == c) | (b == d)), b, np.where(alone & (c == d), c, a))


def finish_ground(scene: Scene, picture: Image.Image, materials: np.ndarray) -> np.ndarray:
    """Lays shadows and haze on the picture's ground. Returns stains: factors (H, W)."""
    (width, height), light = scene.size_wh, scene.light
    stains = np.ones((height, width), np.float32)
    first = min(height - 1, int(scene.horizon * height) + 1)
    rows = (np.arange(first, height, dtype=np.float32) + 0.5)[:, None] / height - scene.horizon
    z = scene.focal * scene.eye / rows
    ground = materials[first:] <= GRASS

    shade = 0.62 * np.asarray(scene.shadows)[first:]
    haze = 255 * (1 - np.exp(-z / light.visibility))
    for alpha, colour in ((shade, mix(BLACK, light.ambient, 40)), (haze, light.haze)):
        mask = Image.fromarray((alpha * ground).astype(np.uint8))
        picture.paste(tuple(int(c) for c in colour), (0, first), mask)

    tile = 0.03 * smooth_noise(scene.rng, 16, 128)
    tile = tile + 0.05 * scene.rng.standard_normal((128, 128), dtype=np.float32)
    columns = (np.arange(width, dtype=np.float32) + 0.5) / width - scene.vanishing
    x = columns * z / (0.75 * scene.focal) - scene.bend(z)
    grain = tile[(z * 9).astype(np.int32) & 127, (x * 12).astype(np.int32) & 127]
    stains[first:] += grain * ground / (1 + z / 25)
    return stains


def develop(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Camera and sensor: halves the canvas; ground's finish, blur, exposure, texture, noise."""
    rng = scene.rng
    materials = majority(np.asarray(scene.canvas.getchannel("A")))
    picture = scene.canvas.convert("RGB").reduce(2)
    stains = finish_ground(scene, picture, materials)
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.BoxBlur(rng.uniform(0.1, 0.6)))
    exposure = (110 / np.asarray(picture)[::8, ::8].mean()) ** rng.uniform(0.3, 0.9)
    gains = exposure * rng.uniform(0.85, 1.2) * rng.normal(1, 0.035, 3)
    curve = 255 * np.linspace(0, 1, 256) ** rng.uniform(0.8, 1.25)
    picture = picture.point(np.outer(gains, curve).clip(0, 255).astype(int).ravel().tolist())
    noise = rng.standard_normal(materials.shape, dtype=np.float32)
    texture = stains + noise * ROUGHNESS[materials]
    noise = noise[::-1] * np.float32(rng.uniform(1, 5))  # upside down it is as good as new
    image = np.empty((*materials.shape, 3), np.uint8)
    for channel, band in enumerate(picture.split()):
        image[..., channel] = (np.asarray(band) * texture + noise).clip(0, 255)
    return image, LABELS[materials]


def draw(seed: int, size_wh: tuple[int, int] = (320, 240)) -> tuple[np.ndarray, np.ndarray]:
    """Draws a scene; the same seed and size give the same arrays, bit for bit.

    Args:
        seed: any integer from 0.
        size_wh: width and height, each from 64; shapes other than 4:3 are stretched.

    Returns: the picture, uint8 (H, W, 3) RGB, and its labels, uint8 (H, W) in [0, 7).
    """
    scene = Scene(np.random.default_rng(seed), size_wh)
    streets: list[tuple[int, float, float]] = []
    things = plan_cars(scene) + plan_people(scene)
    for side in (-1, 1):
        things += plan_lots(scene, side, streets)
    paint_sky(scene)
    paint_skyline(scene)
    paint_ground(scene, streets)
    cast_shadows(scene, things)
    for thing in sorted(things, key=lambda thing: -thing.distance):
        thing.paint()
    return develop(scene)
