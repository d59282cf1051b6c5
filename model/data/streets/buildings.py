"""Buildings and plants, painted."""

from __future__ import annotations

import math

import numpy as np

from model.data.streets.colours import BLACK, CLOTHES, LEAVES, WALLS, WHITE, Colour, mix
from model.data.streets.scene import LEAF, NEAR, TO_CAMERA, WALL, Ground, Scene, Upright


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
