"""Where on the map a GeoTIFF lies: its pixel grid's affine transform and coordinate system.

After OGC 19-008r4, "OGC GeoTIFF Standard" 1.1: tags in its section 7, keys in annexes B and C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.data.images import TIFF_STARTS, open_image

_ORIENTATION = 274
_PIXEL_SCALE = 33550
_TIE_POINTS = 33922
_TRANSFORMATION = 34264
_KEY_DIRECTORY = 34735

_MODEL_TYPE_KEY = 1024  # 1 projected, 2 geographic
_RASTER_TYPE_KEY = 1025  # 1 PixelIsArea, 2 PixelIsPoint
_GEOGRAPHIC_KEY = 2048
_PROJECTED_KEY = 3072


@dataclass(frozen=True, eq=False)
class Georeference:
    """The place of a pixel grid.

    Attributes:
        transform: float64 (2, 3); times (column, row, 1) it gives map coordinates (x, y), where
            (0, 0) is the upper left corner of the upper left pixel.
        epsg: the coordinate system's EPSG code; None if the file names none.
    """

    transform: np.ndarray
    epsg: int | None

    def to_map(self, points: np.ndarray) -> np.ndarray:
        """Map coordinates, float64 (N, 2), of points (N, 2) in pixels."""
        return points @ self.transform[:, :2].T + self.transform[:, 2]

    @property
    def mirrored(self) -> bool:
        """Whether clockwise in pixels (y down) is also clockwise on the map (y up), as usual."""
        return bool(np.linalg.det(self.transform[:, :2]) < 0)


def read(source: str | Path | bytes) -> Georeference | None:
    """The place of a picture, None unless it is a GeoTIFF with an affine transform.

    Files with an orientation tag are shown rotated, which map tools do not do: None for these,
    too.
    """
    if isinstance(source, bytes):
        start = source[:4]
    else:
        with open(source, "rb") as file:
            start = file.read(4)
    if start not in TIFF_STARTS:
        return None
    with open_image(source) as image:
        tags = image.tag_v2
    if tags.get(_ORIENTATION, 1) != 1:
        return None
    keys = _keys(_numbers(tags.get(_KEY_DIRECTORY)))
    transform = _transform(tags)
    if transform is None or not (np.isfinite(transform).all() and _invertible(transform)):
        return None
    if keys.get(_RASTER_TYPE_KEY) == 2:  # its (0, 0) is the centre of the upper left pixel
        transform[:, 2] -= transform[:, :2] @ (0.5, 0.5)
    return Georeference(transform, _epsg(keys))


def _transform(tags) -> np.ndarray | None:
    matrix = _numbers(tags.get(_TRANSFORMATION))
    if len(matrix) == 16:
        return np.array(matrix, np.float64).reshape(4, 4)[:2, [0, 1, 3]]
    scale, tie = _numbers(tags.get(_PIXEL_SCALE)), _numbers(tags.get(_TIE_POINTS))
    if len(scale) != 3 or len(tie) < 6:
        return None
    column, row, _, x, y, _ = tie[:6]  # of several the first, as GDAL
    return np.array(
        [[scale[0], 0, x - column * scale[0]], [0, -scale[1], y + row * scale[1]]], np.float64
    )


def _invertible(transform: np.ndarray) -> bool:
    return bool(np.linalg.det(transform[:, :2]) != 0)


def _keys(directory: Sequence[float]) -> dict[int, int]:
    """The keys whose value is in the directory itself: all those that are codes."""
    entries = [directory[i : i + 4] for i in range(4, len(directory) - 3, 4)]
    return {key: value for key, location, _, value in entries if location == 0}


def _epsg(keys: dict[int, int]) -> int | None:
    key = _GEOGRAPHIC_KEY if keys.get(_MODEL_TYPE_KEY) == 2 else _PROJECTED_KEY
    code = keys.get(key, 0)
    return code if 1024 <= code <= 32766 else None  # 32767 is "defined by the user"


def _numbers(value) -> Sequence[float]:
    """A tag's numbers; Pillow unpacks single ones, and a damaged file can hold anything."""
    values = value if isinstance(value, tuple) else (value,)
    return values if all(isinstance(v, int | float) for v in values) else ()
