"""What a segmentation can be saved as, each without loss unless it says otherwise."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from model.data.classes import ClassTable


def index_png(labels: np.ndarray, classes: ClassTable) -> bytes:
    """A palette PNG: pixel values are the class ids, colours those of the class table.

    Args: labels: uint8 (H, W).
    Returns: the file's bytes; `np.asarray(Image.open(...))` gives `labels` back exactly.
    """
    if labels.dtype != np.uint8:
        raise ValueError(f"labels must be uint8, got {labels.dtype}")
    image = Image.fromarray(labels)
    image.putpalette(classes.palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
