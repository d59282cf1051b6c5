"""Sun, sky and air."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from model.data.streets.colours import BLACK, Colour, mix


@dataclass
class Light:
    """Sun, sky and air. Tints multiply colours; `sun` is a unit vector that points towards it."""

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
