"""Aerial imagery of Dubai, cut into patches after a split by tile."""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import ClassVar

import numpy as np

from model.data import splits
from model.data.classes import ClassTable
from model.data.datasets.base import FileDataSet
from model.data.files import pictures_in
from model.data.images import decode, open_image
from model.data.masks import MaskEncoding
from model.data.splits import Split
from model.errors import DataError

PATCH = 256
OVERLAP = 32
"""Neighbouring patches share at least this many pixels; the last ones end at the border."""

KEPT_PARTS = 80
"""Decoded parts kept in memory: all 72 of the full set, about 320 MB."""


class Aerial(FileDataSet):
    """Tiles of nine pictures ("parts") each; samples are 256 x 256 patches of the parts.

    Masks are RGB colours, in some tiles as palette files. "Unlabeled", colour 9B9B9B, is the
    sixth class, as the set is published and as results on it are reported; black, which is
    in no class table and occurs along a few edges only, is void.

    A sample's name is tile, part and the patch's upper left corner: `1-001-y0224-x0448`.
    """

    name = "aerial"
    title = "Dubai aerial imagery, 6 classes"
    void = "black pixels"
    licence = "CC0"
    source = (
        "https://www.kaggle.com/datasets/humansintheloop/semantic-segmentation-of-aerial-imagery"
    )
    layout = "aerial/Tile 1/images/image_part_001.jpg, aerial/Tile 1/masks/image_part_001.png"
    longest_side = PATCH
    split_rule = (
        f"by tile: 1 test, 2 and 3 validation, the others train; then {PATCH} x {PATCH} patches "
        f"that overlap by at least {OVERLAP} pixels"
    )
    fold_rule = "group"
    folders = ("aerial", "Semantic segmentation dataset")
    classes = ClassTable.of(
        [
            ("water", "#e2a929"),
            ("land", "#8429f6"),
            ("road", "#6ec1e4"),
            ("building", "#3c1098"),
            ("vegetation", "#fedd3a"),
            ("unlabelled", "#9b9b9b"),
        ]
    )
    encoding = MaskEncoding.colours(classes, void=["#000000"])
    part_of: ClassVar = {"1": "test", "2": "validation", "3": "validation"}

    def collect(self) -> None:
        tiles = sorted(self.need(self.root).rglob("Tile *")) or [self.root / "Tile 1"]
        for tile in tiles:
            prefix = tile.name.removeprefix("Tile ")
            for folder, files in (("images", self.images), ("masks", self.masks)):
                for name, path in pictures_in(self.need(tile / folder)).items():
                    files[f"{prefix}-{name.removeprefix('image_part_')}"] = path

    def make_split(self, names: list[str]) -> Split:
        patches = [patch for part in names for patch in self._patches(part)]
        return splits.grouped(patches, self.group_of, self.part_of)

    def group_of(self, name: str) -> str:
        """The tile."""
        return name.partition("-")[0]

    def file_of(self, name: str) -> str:
        """The part that a patch is cut from."""
        return name.rsplit("-", 2)[0]

    def image(self, name: str) -> np.ndarray:
        return self._cut(name, 0)

    def labels(self, name: str) -> np.ndarray:
        return self._cut(name, 1)

    def _patches(self, part: str) -> list[str]:
        width, height = open_image(self.images[part]).size
        corners = product(corners_along(height), corners_along(width))
        return [f"{part}-y{y:04d}-x{x:04d}" for y, x in corners]

    def _cut(self, name: str, which: int) -> np.ndarray:
        part, y, x = name.rsplit("-", 2)
        top, left = int(y[1:]), int(x[1:])
        whole = _read_part(self.images[part], self.masks[part])[which]
        return whole[top : top + PATCH, left : left + PATCH]


def corners_along(side: int) -> list[int]:
    """Where patches begin along a side: evenly, from border to border, rounded to pixels.

    >>> corners_along(700)
    [0, 148, 296, 444]
    """
    count = max(1, math.ceil((side - OVERLAP) / (PATCH - OVERLAP)))
    return [round(i * (side - PATCH) / max(1, count - 1)) for i in range(count)]


@lru_cache(maxsize=KEPT_PARTS)
def _read_part(image: Path, mask: Path) -> tuple[np.ndarray, np.ndarray]:
    picture, labels = decode(image), Aerial.encoding.read(mask)
    if picture.shape[:2] != labels.shape:
        raise DataError(
            f"{image} is {picture.shape[1]} x {picture.shape[0]}, but its mask is "
            f"{labels.shape[1]} x {labels.shape[0]}. They must have the same size."
        )
    return picture, labels
