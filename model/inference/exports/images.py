"""Segmentations as PNG files: mask, overlay, cut-out, maps of confidence and entropy."""

from __future__ import annotations

import io
from collections.abc import Collection

import numpy as np
from PIL import Image

from model.data import drawing
from model.data.masks import index_png
from model.inference.exports.picture import Picture
from model.inference.segmenter import Segmentation


def mask(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """A palette PNG whose pixel values are the class ids, exactly, all classes included."""
    return index_png(segmentation.labels, segmentation.classes)


def overlay(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """The picture with the chosen classes' colours blended in, a PNG."""
    return _png(
        drawing.overlay(picture.image, segmentation.labels, segmentation.classes, shown=chosen)
    )


def cutout(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """The chosen classes' pixels as they are, all else transparent, a PNG with alpha."""
    return _png(drawing.cutout(picture.image, segmentation.labels, chosen))


def confidence(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """The probability of each pixel's class in grey, 0 to 255 for 0 to 1."""
    return _grey(segmentation.confidence)


def entropy(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """The entropy of each pixel's probabilities in grey, 0 to 255 for 0 to 1."""
    return _grey(segmentation.entropy)


def _grey(values: np.ndarray) -> bytes:
    grey = np.empty(values.shape, np.uint8)
    rows = 1 + 2**20 // values.shape[1]  # float32 of a whole picture would take four bytes a pixel
    for top in range(0, len(values), rows):
        band = values[top : top + rows].astype(np.float32)
        grey[top : top + rows] = np.rint(band * 255)
    return _png(grey)


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    # Photographs hardly shrink further at higher levels, which take several times as long.
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
