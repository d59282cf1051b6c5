"""Colours of what stands in a street, and their mixing."""

from __future__ import annotations

from collections.abc import Sequence

Colour = Sequence[float]

WHITE, BLACK = (255, 255, 255), (0, 0, 0)

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


def mix(first: Colour, second: Colour, share: float) -> tuple[float, float, float]:
    """The colour that lies `share` (0 to 1) of the way from `first` to `second`."""
    (a, b, c), (d, e, f) = first, second
    return a + (d - a) * share, b + (e - b) * share, c + (f - c) * share
