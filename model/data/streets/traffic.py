"""Cars and people, painted."""

from __future__ import annotations

import math
from collections.abc import Sequence

from model.data.streets.colours import BLACK, CLOTHES, HAIRS, PAINTS, SKINS, Colour, mix
from model.data.streets.scene import CAR, PERSON, TO_CAMERA, UP, Corners, Scene, disc, rectangle

# Length, heights of belt line and roof, lengths of bonnet and boot, in metres.
CARS = (
    *((3.9, 0.88, 1.48, 1.0, 0.1), (4.6, 0.88, 1.44, 1.2, 0.8), (4.6, 1.02, 1.72, 1.1, 0.1)),
    *((4.3, 0.9, 1.46, 1.1, 0.25), (5.2, 1.15, 2.1, 0.6, 0.02), (9.0, 1.3, 2.9, 0.02, 0.02)),
)


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
