"""`SegmentOptions`: what can be chosen about segmenting a picture. The same in the command
line, the pages and the API."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from model.data.classes import ClassTable
from model.errors import ConfigError
from model.inference.tiling import OVERLAP

Flips = Literal["none", "horizontal", "vertical", "both"]
Scale = Literal["trained", "native"]

LEAST_ZOOM, MOST_ZOOM = 0.25, 4
TILE_MULTIPLE = 32
"""Sides and overlaps of tiles are multiples of it."""


@dataclass(frozen=True)
class SegmentOptions:
    """How a picture is looked at, and what is made of what the network says.

    The defaults are the checkpoint's own way of seeing, at the least price.

    Raises `ConfigError` naming the option that cannot be.
    """

    confidence: bool = False
    """Also compute the map of confidence: the softmax probability of each pixel's class."""
    entropy: bool = False
    """Also compute the map of entropy: 0 where the network is certain, 1 where all classes
    are equally probable to it."""
    probabilities: bool = False
    """Also compute the softmax probabilities of all classes: two bytes for each pixel and class."""
    flips: Flips = "none"
    """Test-time augmentation: also look at the mirrored picture and average the probabilities;
    "both" looks four times."""
    zooms: tuple[float, ...] = ()
    """Test-time augmentation: also look at the picture magnified by these factors, 0.25 to 4."""
    threshold: float | None = None
    """For two classes: a pixel is of the second one where that is more probable than this,
    between 0 and 1. By default 0.5."""
    minimum_area: int = 0
    """Connected pixels of one class that are fewer than this go to the largest region beside
    them."""
    minimum_areas: tuple[tuple[str, int], ...] = ()
    """The same for single classes, by name, instead of `minimum_area`."""
    scale: Scale = "trained"
    """"native": look at every pixel, although the network was trained on pictures made smaller."""
    tile: int | None = None
    """Side in pixels, a multiple of 32: what the network gets to see is cut into tiles no larger
    than this. By default the checkpoint's own, else 768, divided by the largest of `zooms`; a side
    that is given is taken as it is, and each zoom magnifies it: memory grows with the square."""
    overlap: int | None = None
    """Pixels, a multiple of 32, that neighbouring tiles share, at most half of their side. By
    default 32; more hides seams better and takes longer."""

    def __post_init__(self) -> None:
        for name, known in (("flips", get_args(Flips)), ("scale", get_args(Scale))):
            if (value := getattr(self, name)) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
        if not all(LEAST_ZOOM <= zoom <= MOST_ZOOM for zoom in self.zooms):
            raise ConfigError(
                f"zooms must be between {LEAST_ZOOM} and {MOST_ZOOM}, got {self.zooms!r}."
            )
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ConfigError(f"threshold must lie between 0 and 1, got {self.threshold!r}.")
        if min(self.minimum_area, *(area for _, area in self.minimum_areas), 0) < 0:
            raise ConfigError("A minimum area cannot be negative.")
        for name, least in (("tile", TILE_MULTIPLE), ("overlap", 0)):
            value = getattr(self, name)
            if value is not None and (value % TILE_MULTIPLE or value < least):
                raise ConfigError(
                    f"{name} must be a multiple of {TILE_MULTIPLE} from {least} up, got {value}."
                )

        overlap = OVERLAP if self.overlap is None else self.overlap
        if self.tile is not None and self.tile < 2 * overlap:
            raise ConfigError(
                f"Tiles of {self.tile} pixels cannot overlap by {overlap}: overlap must be at most "
                "half of tile."
            )

    def check(self, classes: ClassTable) -> None:
        """Raises `ConfigError` for what does not suit these classes."""
        if self.threshold is not None and len(classes) != 2:
            raise ConfigError(
                f"threshold is for checkpoints with two classes; this one has {len(classes)}. "
                "Leave it out."
            )
        for name, _ in self.minimum_areas:
            if name not in classes.names:
                raise ConfigError(
                    f"minimum_areas: there is no class '{name}'. Classes: "
                    f"{', '.join(classes.names)}."
                )

    def least_areas(self, classes: ClassTable) -> list[int]:
        """The smallest region in pixels that stays, per class."""
        special = dict(self.minimum_areas)
        return [special.get(name, self.minimum_area) for name in classes.names]

    @property
    def threshold_logit(self) -> float:
        """The difference of the two classes' logits at the threshold: log(t / (1 - t))."""
        return 0.0 if self.threshold is None else math.log(self.threshold / (1 - self.threshold))
