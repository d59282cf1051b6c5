"""YOLO segmentation labels: a line for each connected part, and `data.yaml` with the names.

class x1 y1 x2 y2 ...     class id, then coordinates as fractions of width and height
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import yaml

from model.data.classes import ClassTable
from model.inference.exports.outlines import outlines
from model.inference.exports.picture import Picture
from model.inference.segmenter import Segmentation


def labels(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """The label file. A hole is joined to its exterior by a zero-width line (see
    `Outline.one_ring`), as the format has no holes."""
    height, width = segmentation.labels.shape
    lines = []
    for info in segmentation.classes:
        if info.id not in chosen:
            continue
        for outline in outlines(segmentation.labels == info.id):
            # Six decimals: far finer than half a pixel, at which filling would change.
            points = outline.one_ring() / np.array([width, height])
            lines.append(f"{info.id} " + " ".join(f"{value:.6f}" for value in points.ravel()))
    return "".join(f"{line}\n" for line in lines).encode()


def data_file(classes: ClassTable) -> str:
    """The text of `data.yaml`, which says what the numbers in label files mean."""
    return yaml.safe_dump(
        {"nc": len(classes), "names": dict(enumerate(classes.names))},
        allow_unicode=True,
        sort_keys=False,
    )
