"""Street scenes drawn from a seed, with exact masks: a data set without a download.

A scene is planned in metres (x to the right, y up, z ahead of the camera; the road's
middle is x = 0) and painted from far to near through one perspective camera, so the
picture's size changes its sharpness and not its content.

The canvas is RGBA with the material in the alpha channel: each fill paints colour and
material with the same edge, so picture and mask cannot drift apart. Painting happens at
twice the size without anti-aliasing; then colours are averaged, and materials, from which
labels follow, are decided by majority.

    plan.py       what stands where
    scene.py      canvas, camera and brushes; light.py and colours.py
    backdrop.py   sky, skyline and ground; then the things in front of them:
    things.py     shadows; buildings.py and traffic.py
    finish.py     from the canvas to picture and labels
"""

from __future__ import annotations

import numpy as np

from model.data.classes import ClassTable
from model.data.streets.backdrop import paint_ground, paint_sky, paint_skyline
from model.data.streets.finish import develop
from model.data.streets.plan import plan_cars, plan_lots, plan_people
from model.data.streets.scene import Scene
from model.data.streets.things import cast_shadows

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


def draw(seed: int, size_wh: tuple[int, int] = (320, 240)) -> tuple[np.ndarray, np.ndarray]:
    """Draws a scene; the same seed and size give the same arrays, bit for bit.

    Args:
        seed: any integer from 0.
        size_wh: width and height, each at least 64; shapes other than 4:3 are stretched.

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
