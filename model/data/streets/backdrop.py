"""Sky, skyline and ground."""

from __future__ import annotations

import numpy as np
from PIL import Image

from model.data.streets.colours import BLACK, LEAVES, WALLS, Colour, mix
from model.data.streets.scene import (
    FAR,
    GRASS,
    LEAF,
    NEAR,
    ROAD,
    SIDEWALK,
    SKY,
    TO_CAMERA,
    UP,
    WALL,
    Scene,
    smooth_noise,
)


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
    """What closes the view: distant blocks, and trees in front of them."""
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
