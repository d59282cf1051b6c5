"""What stands where, in metres."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from model.data.streets.buildings import paint_building, paint_hedge, paint_tree
from model.data.streets.scene import FAR, Scene, disc, rectangle
from model.data.streets.things import Thing
from model.data.streets.traffic import CARS, paint_car, paint_person


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
