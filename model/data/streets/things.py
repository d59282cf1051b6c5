"""Things that stand in a street, and the shadows they cast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PIL import ImageDraw, ImageFilter

from model.data.streets.scene import NEAR, Ground, Scene


@dataclass
class Thing:
    """Something that stands on the ground and casts a shadow.

    Things are painted in order of decreasing `distance`. The shadow is that of a prism
    on `outline` between the heights `bottom` and `top`.
    """

    distance: float
    paint: Callable[[], None]
    outline: list[Ground]
    bottom: float
    top: float
    contact: float = 0.0  # darkness right below the thing, whatever the weather


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
