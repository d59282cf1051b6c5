"""Mask files to label arrays, exactly: no interpolation, no lossy step.

A label array is uint8 (H, W); its values are class ids, or `VOID` (255).

A mask is read in two steps. A reader takes the *stored values* out of the file, int32
(H, W), as they are in it; a mapping then says which class each of them means. A value
the mapping does not know is an error, never a guess. `MaskEncoding` is the two together:

    index   the pixel is the value: grey, palette (the indices, not the colours), 1-bit,
            16-bit, 32-bit; PNG, TIFF, BMP, GIF, PGM
    binary  0 and 255 (or a 1-bit file), read as 0 and 1
    red     the value is in the red channel, as CARLA's cameras write it
    colour  the pixel's colour is the value, 0xRRGGBB, or `TRANSPARENT`
"""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, ImageOps

from model.data.classes import VOID, ClassTable
from model.data.images import Source, describe, open_image
from model.errors import DataError, ImageError

Storage = Literal["index", "binary", "red", "colour"]

LOSSLESS_FORMATS = ("PNG", "TIFF", "BMP", "GIF", "PPM")
"""Pillow's names of the formats whose pixels come back as they were saved."""

TRANSPARENT = 1 << 24
"""The stored value of a fully transparent pixel in a colour mask: beyond all colours."""


@dataclass(frozen=True)
class MaskEncoding:
    """How class ids are stored in mask files.

    Attributes:
        storage: where in the file the values are, see the module's docstring.
        values: stored value -> class id, or -> `VOID`.

    >>> trimap = MaskEncoding("index", {1: 0, 2: 1, 3: 2})  # counts from 1
    """

    storage: Storage
    values: Mapping[int, int]

    @classmethod
    def ids(cls, count: int, storage: Storage = "index", void: Iterable[int] = ()) -> MaskEncoding:
        """Values that are the class ids 0 to `count` - 1 themselves; `void` lists void values."""
        return cls(storage, {i: i for i in range(count)} | dict.fromkeys(void, VOID))

    @classmethod
    def colours(cls, classes: ClassTable, void: Iterable[str] = ()) -> MaskEncoding:
        """The colours of a class table; `void` lists further colours, `#rrggbb`."""
        known = {pack_colour(info.colour): info.id for info in classes}
        return cls("colour", {pack_colour(c): VOID for c in void} | known)

    def read(self, source: Source) -> np.ndarray:
        """The labels of a mask, uint8 (H, W).

        Raises: `DataError` for another storage or unknown values, `ImageError` for
        unreadable files.
        """
        return to_labels(
            read_stored(source, self.storage),
            self.values,
            describe(source),
            colours=self.storage == "colour",
        )


def read_index(source: Source) -> np.ndarray:
    """Reads a mask whose pixel values are the class ids themselves.

    Grey, palette (the indices, not the colours), 1-bit, 16-bit and 32-bit files; also float
    TIFFs whose values are whole numbers, and the grey of grey-with-alpha files that are opaque.

    Returns: int32 (H, W), the values as stored.
    Raises: `DataError` for colour masks or lossy formats, `ImageError` for unreadable files.
    """
    return _index_values(_open_lossless(source), source)


def read_binary(source: Source) -> np.ndarray:
    """Reads a mask of two classes stored as 0 and 255, or as one bit.

    Returns: int32 (H, W), 0 or 1.
    Raises: `DataError` for other values, and as `read_index` does.
    """
    image = _open_lossless(source)
    if image.mode == "1":
        return _pixels(image, source).astype(np.int32)
    values = _index_values(image, source)
    others = values[(values != 0) & (values != 255)]
    if others.size:
        raise DataError(
            f"{describe(source)} has values {np.unique(others)[:8].tolist()} besides 0 and 255, "
            "but this data set stores two classes as 0 and 255."
        )
    return values // 255


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
    _refuse_deep_colour(image, source)
    return _pixels(image, source)[..., 0].astype(np.int32)


def read_colours(source: Source) -> np.ndarray:
    """Reads a mask whose colours are the classes: RGB, RGBA, or a palette file by its colours.

    Alpha decides only whether a pixel is fully transparent, and is ignored if the whole picture
    is.

    Returns: int32 (H, W), 0xRRGGBB or `TRANSPARENT`.
    Raises: `DataError` for modes without colours, `ImageError` for unreadable files.
    """
    image = _open_lossless(source)
    if image.mode not in ("RGB", "RGBA", "RGBX", "P", "PA", "L", "LA", "1"):
        raise DataError(
            f"{describe(source)} stores mode {image.mode}; a mask of colours must be RGB, RGBA or "
            "palette."
        )
    _refuse_deep_colour(image, source)
    mode = "RGBA" if image.has_transparency_data else "RGB"
    pixels = _pixels(image, source, mode).astype(np.int32)
    values = pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]
    if mode == "RGBA" and (hidden := pixels[..., 3] == 0).any() and not hidden.all():
        values[hidden] = TRANSPARENT
    return values


_READERS = {
    "index": read_index,
    "binary": read_binary,
    "red": read_red_channel,
    "colour": read_colours,
}


def read_stored(source: Source, storage: Storage) -> np.ndarray:
    """The stored values of a mask, int32 (H, W), by the reader for `storage`."""
    return _READERS[storage](source)


def to_labels(
    values: np.ndarray,
    mapping: Mapping[int, int],
    name: str | Path,
    *,
    unknown: int | None = None,
    colours: bool = False,
) -> np.ndarray:
    """Maps stored values to class ids.

    Args:
        values: int32 (H, W), as one of the readers returns them.
        mapping: stored value -> class id, or -> `VOID`.
        name: what the error message calls the file.
        unknown: the label of values without an entry; None makes them an error.
        colours: the values are colours, and the message shows them as such.

    Returns: uint8 (H, W).
    Raises: `DataError` naming the values that have no entry in `mapping`.
    """
    known = np.array(sorted(mapping), np.int32)
    labels_of = np.array([mapping[value] for value in known.tolist()], np.uint8)
    low, high = min([values.min(), *mapping]), max([values.max(), *mapping])
    if low >= 0 and high < 2**16:
        # A table is several times faster than a search, and small at these sizes.
        table = np.full(high + 1, -1, np.int32)
        table[known] = labels_of
        labels = table[values]
        missing = labels < 0
    elif not mapping:
        labels, missing = np.zeros(values.shape, np.uint8), np.ones(values.shape, bool)
    else:
        place = np.searchsorted(known, values).clip(max=len(known) - 1)
        labels = labels_of[place]
        missing = known[place] != values
    if missing.any():
        if unknown is None:
            raise DataError(_unknown_values(values[missing], known, name, colours))
        labels[missing] = unknown
    return labels.astype(np.uint8)


def pack_colour(colour: str) -> int:
    """`#rrggbb` as `read_colours` returns it: 0xRRGGBB."""
    return int(colour.removeprefix("#"), 16)


def show_colour(value: int) -> str:
    """A stored colour as `#rrggbb`, or "transparent"."""
    return "transparent" if value == TRANSPARENT else f"#{value:06x}"


def index_png(labels: np.ndarray, classes: ClassTable) -> bytes:
    """A mask file of labels: a palette PNG, its indices the labels, its colours the classes'.

    Args: labels: uint8 (H, W).
    Returns: the file's bytes; `read_index` gives `labels` back exactly.
    Raises: `ValueError` for labels of another type.
    """
    if labels.dtype != np.uint8:
        raise ValueError(f"labels must be uint8, got {labels.dtype}")
    image = Image.fromarray(labels)
    image.putpalette(classes.palette().tobytes())
    buffer = io.BytesIO()
    # Labels repeat along rows: matching only such runs takes a quarter of the time, for up to a
    # fifth more bytes.
    image.save(buffer, "PNG", compress_type=zlib.Z_RLE)
    return buffer.getvalue()


def _unknown_values(values: np.ndarray, known: np.ndarray, name: str | Path, colours: bool) -> str:
    found, counts = np.unique(values, return_counts=True)
    commonest = np.argsort(-counts, kind="stable")[:8]
    if colours:
        listed = ", ".join(f"{show_colour(found[i])} ({counts[i]} pixels)" for i in commonest)
        expected = ", ".join(map(show_colour, known.tolist()))
    else:
        listed = str(sorted(found[commonest].tolist()))
        expected = str(known.tolist())
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return (
        f"The mask {Path(name).name} has {'colours' if colours else 'values'} {listed}{more} "
        f"that this data set does not know; it knows {expected}. "
        f"{values.size} pixels are affected."
    )


def as_binary(values: np.ndarray) -> np.ndarray:
    """Grey values of masks of two classes as their reader gives them: 0 for 0, 1 for 255. Others,
    which it refuses, stay as they are, except for 1, which becomes 0."""
    return np.where(values == 255, 1, np.where(values == 1, 0, values))


def lossy_compression(image: Image.Image) -> str | None:
    """The format of an opened file if its compression may be lossy, else None."""
    compression = str(image.info.get("compression", ""))
    if image.format in ("JPEG", "MPO") or "jpeg" in compression:
        return "JPEG"
    if image.format not in LOSSLESS_FORMATS or "webp" in compression:
        return image.format
    return None


def _open_lossless(source: Source) -> Image.Image:
    image = open_image(source)
    lossy = lossy_compression(image)
    if lossy == "JPEG":
        raise DataError(
            f"{describe(source)} is a JPEG: its compression changes label values. "
            "Export the masks as PNG."
        )
    if lossy:
        raise DataError(
            f"{describe(source)} is a {lossy} file, whose compression may be lossy; "
            "label values would not survive. Export the masks as PNG."
        )
    return image


def _index_values(image: Image.Image, source: Source) -> np.ndarray:
    mode, depth = image.mode, _bits_per_pixel(image)
    if mode not in ("1", "L", "P", "LA", "PA", "I", "F") and not mode.startswith("I;16"):
        raise DataError(
            f"{describe(source)} is a colour mask (mode {mode}), but this data set stores "
            "class ids as grey or palette values."
        )
    if mode == "LA":
        _refuse_deep_colour(image, source)
    largest = _largest_of_pgm(image)
    pixels = _pixels(image, source)
    if largest:  # Pillow stretches such values to all of 8 or 16 bits
        full = 255 if mode == "L" else 65535
        return np.rint(pixels * (largest / full)).astype(np.int32)
    if mode in ("LA", "PA"):
        if (pixels[..., 1] != 255).any():
            raise DataError(
                f"{describe(source)} has transparent pixels; a mask of class ids has none. "
                "Save it without an alpha channel."
            )
        pixels = pixels[..., 0]
    if mode == "F":
        return _whole_numbers(pixels, source)
    # Pillow stretches grey of 2 and 4 bits to 0..255; optimisers write such files.
    return pixels.astype(np.int32) // {2: 85, 4: 17}.get(depth, 1)


def _pixels(image: Image.Image, source: Source, mode: str | None = None) -> np.ndarray:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ImageOps.exif_transpose(image, in_place=True)  # as `decode` turns the picture
            return np.asarray(image if mode in (None, image.mode) else image.convert(mode))
    except Exception as error:  # a damaged file can fail in any of Pillow's decoders
        raise ImageError(f"{describe(source)} is damaged or cut short ({error}).") from error


def _raw_mode(image: Image.Image) -> str:
    """How the file packs its pixels, in Pillow's terms ("L;4"); known only until they load."""
    if not image.tile:
        return image.mode
    arguments = image.tile[0][3]
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _bits_per_pixel(image: Image.Image) -> int:
    packing = _raw_mode(image)
    if image.mode == "L" and packing.startswith(("L;2", "L;4")):
        return int(packing[2])
    return 8


def _largest_of_pgm(image: Image.Image) -> int | None:
    """The largest value that a grey PNM file says it has, unless its bytes are the values."""
    if image.format != "PPM" or not image.tile or image.mode not in ("L", "I"):
        return None
    decoder, *_, arguments = image.tile[0]
    return int(arguments[-1]) if decoder.startswith("ppm") else None


def _refuse_deep_colour(image: Image.Image, source: Source) -> None:
    if ";16" in _raw_mode(image):
        raise DataError(
            f"{describe(source)} has several channels of 16 bits; values cannot be read from it "
            "exactly. Export the masks with 8 bits per channel."
        )


def _whole_numbers(values: np.ndarray, source: Source) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        whole = np.where(np.abs(values) < 2**31, values, 0.5).round()
    if (whole != values).any():
        raise DataError(
            f"{describe(source)} has fractions or values that are not numbers; class ids are "
            "whole numbers."
        )
    return whole.astype(np.int32)
