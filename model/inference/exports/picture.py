"""What an export needs to know about the picture behind a segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from model.data.images import decode
from model.inference.exports import geotiff
from model.inference.exports.geotiff import Georeference


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it was segmented.

    Attributes:
        image: RGB, uint8 (H, W, 3).
        name: what exports call it: its file name, or its path below the folder it came from.
        place: where on the map it lies, if it is a GeoTIFF that says so.
    """

    image: np.ndarray
    name: str = "picture.png"
    place: Georeference | None = None

    @classmethod
    def read(cls, source: str | Path | bytes, name: str | None = None) -> Picture:
        """Reads a picture file. `name` is the file's own by default.

        Raises: `ImageError` if it cannot be read as a picture.
        """
        if name is None:
            name = "picture.png" if isinstance(source, bytes) else Path(source).name
        return cls(decode(source), name, geotiff.read(source))

    @property
    def stem(self) -> str:
        """The file name without folder and suffix."""
        return PurePosixPath(self.name).stem
