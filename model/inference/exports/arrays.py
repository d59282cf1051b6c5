"""Class probabilities as a numpy file."""

from __future__ import annotations

import io
from collections.abc import Collection

import numpy as np

from model.inference.exports.picture import Picture
from model.inference.segmenter import Segmentation


def probabilities(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """An NPZ file, opened by `numpy.load`, with the arrays

        probabilities   float16 (C, H, W), in [0, 1], summing to 1 over the classes
        labels          uint8 (H, W), class ids
        classes         str (C,), their names

    float16 distinguishes values that differ by more than 0.0005; where the two most probable
    classes are closer, `labels` says which was ahead.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        probabilities=segmentation.probabilities,
        labels=segmentation.labels,
        classes=np.array(segmentation.classes.names),
    )
    return buffer.getvalue()
