"""Mask files to label arrays, exactly: no interpolation, no lossy step.

A label array is uint8 (H, W); its values are class ids, or `VOID` (255).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.data.images import Source, describe, open_image
from model.errors import DataError, ImageError


def read_index(source: Source) -> np.ndarray:
    """Reads a mask whose pixel values are the class ids themselves.

    Grey, palette (the indices, not the colours), 1-bit and 16-bit PNG or TIFF.

    Returns: int32 (H, W), the values as stored.
    Raises: `DataError` for colour masks or lossy formats, `ImageError` for unreadable files.
    """
    image = _open_lossless(source)
    if image.mode not in ("1", "L", "P", "I") and not image.mode.startswith("I;16"):
        raise DataError(
            f"{describe(source)} is a colour mask (mode {image.mode}), but this data set stores "
            "class ids as grey or palette values."
        )
    return _pixels(image, source)


def read_red_channel(source: Source) -> np.ndarray:
    """Reads a mask that keeps the class id in the red channel, as CARLA's cameras write it.

    Returns: int32 (H, W), the red values as stored.
    Raises: `DataError` if the file has no red channel, `ImageError` for unreadable files.
    """
    image = _open_lossless(source)
    if image.mode not in ("RGB", "RGBA"):
        raise DataError(
            f"{describe(source)} has no red channel (mode {image.mode}), but this data set keeps "
            "the class id there."
        )
    return _pixels(image, source)[..., 0]


def to_labels(
    values: np.ndarray, mapping: dict[int, int], name: str | Path, *, what: str = "mask"
) -> np.ndarray:
    """Maps stored values to class ids.

    Args:
        values: int32 (H, W), as one of the readers returns them.
        mapping: stored value -> class id, or -> `VOID`.
        name: how the error message calls the file.

    Returns: uint8 (H, W).
    Raises: `DataError` naming the values that have no entry in `mapping`.
    """
    low, high = int(values.min()), int(values.max())
    table = np.full(max(high, max(mapping)) + 1, -1, np.int32)
    for stored, label in mapping.items():
        table[stored] = label
    labels = table[values] if low >= 0 else np.full_like(values, -1)
    if (labels < 0).any():
        unknown = np.unique(values[labels < 0])[:8].tolist()
        raise DataError(
            f"The {what} {Path(name).name} has values {unknown} that this data set does not know; "
            f"it knows {sorted(mapping)}."
        )
    return labels.astype(np.uint8)


def _open_lossless(source: Source):
    image = open_image(source)
    if image.format in ("JPEG", "MPO"):
        raise DataError(
            f"{describe(source)} is a JPEG: its compression changes label values. "
            "Export the masks as PNG."
        )
    return image


def _pixels(image, source: Source) -> np.ndarray:
    try:
        return np.asarray(image).astype(np.int32)
    except Exception as error:  # a damaged file can fail in any of Pillow's decoders
        raise ImageError(f"{describe(source)} is damaged or cut short ({error}).") from error
