"""What one picture and its mask hold: each file is read once, and everything is counted here.

A look never raises for a bad file: what is wrong with it is kept as a sentence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFilter

from model.data.images import decode, open_image
from model.data.masks import lossy_compression
from model.data.recognise import palette_colours, read_by_kind
from model.errors import StudioError

FINGERPRINT = 64
MOST_COUNTED = 512
"""Values of one mask that are counted; compressed masks have more, of a few pixels each."""

COLOURED = ("rgb", "lossy rgb")
"""Kinds of masks whose stored values are colours."""

Painter = Callable[[int, int], np.ndarray]
"""Labels uint8 (H, W) of a picture of this height and width, from annotations."""


@dataclass(frozen=True)
class PictureLook:
    """A picture that can be read.

    Attributes:
        size_wh: as it is shown, EXIF rotation applied.
        orientation: EXIF's, 1 if the file says nothing.
        content: a digest of its pixels.
        fingerprint: uint8 (64, 64), the picture small, grey and a little blurred.
    """

    size_wh: tuple[int, int]
    orientation: int
    content: bytes
    fingerprint: np.ndarray


@dataclass(frozen=True)
class MaskLook:
    """A mask that can be read.

    Attributes:
        size_wh: EXIF rotation applied.
        orientation: EXIF's, 1 if the file says nothing.
        kind: "bit", "grey", "palette", "rgb" as `recognise.MaskScan`; "lossy grey" or "lossy rgb"
            for files whose compression may be lossy; "painted" for drawn annotations.
        stored: the file's format and mode in Pillow's words, such as "PNG I;16".
        values: the distinct stored values, sorted, int64 (N,).
        colours: of the values, for "palette", int64 (N,), else None.
        counts: pixels of each value, int64 (N,).
        inner: of these, pixels whose four neighbours have the same value, int64 (N,).
        edge: pixels with a neighbour of another value.
        between: of these, pixels whose value lies between those of its two neighbours.
        beyond: of these, pixels whose value lies above or below those of its two neighbours.
    """

    size_wh: tuple[int, int]
    orientation: int
    kind: str
    stored: str
    values: np.ndarray
    colours: np.ndarray | None
    counts: np.ndarray
    inner: np.ndarray
    edge: int
    between: int
    beyond: int


def look_at_picture(path: Path) -> PictureLook | str:
    """The look of a picture, or what is wrong with it."""
    try:
        with open_image(path) as file:
            orientation = orientation_of(file)
        image = decode(path)
    except StudioError as error:
        return str(error)
    small = Image.fromarray(image).convert("L").resize((FINGERPRINT,) * 2, Image.Resampling.LANCZOS)
    return PictureLook(
        image.shape[1::-1],
        orientation,
        hashlib.blake2b(image.tobytes(), digest_size=12).digest(),
        np.asarray(small.filter(ImageFilter.BoxBlur(1))),
    )


def look_at_mask(path: Path) -> MaskLook | str:
    """The look of a mask file, or what is wrong with it; lossy files can be read."""
    try:
        with open_image(path) as image:
            stored, lossy = f"{image.format} {image.mode}", lossy_compression(image)
            orientation = orientation_of(image)
        kind, values = read_lossy(path) if lossy else read_by_kind(path)
        distinct, *counts = count(values, kind in COLOURED)
        colours = None
        if kind == "palette":
            colours = np.array(palette_colours(path, values, distinct), np.int64)
            # It may have been smoothed before or after the colours were numbered.
            shown = colours[np.searchsorted(distinct, values)]
            counts[-2:] = max(counts[-2:], [int(found.sum()) for found in ramps(shown, True)])
    except StudioError as error:
        return str(error)
    return MaskLook(values.shape[::-1], orientation, kind, stored, distinct, colours, *counts)


def look_at_painted(paint: Painter, size_wh: tuple[int, int]) -> MaskLook | str:
    """The look of the labels that annotations give, or what is wrong with these."""
    try:
        labels = paint(*size_wh[::-1])
    except StudioError as error:
        return str(error)
    distinct, *counts = count(labels.astype(np.int32), False)
    return MaskLook(size_wh, 1, "painted", "", distinct, None, *counts)


def read_lossy(path: Path) -> tuple[str, np.ndarray]:
    """A mask with lossy compression: its kind and its values, int32 (H, W)."""
    with open_image(path) as image:
        grey = image.mode in ("1", "L")
    pixels = decode(path).astype(np.int32)
    if grey:
        return "lossy grey", pixels[..., 0]
    return "lossy rgb", pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]


def count(
    values: np.ndarray, colours: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, int, int]:
    """The values, counts, inner counts, edge, between and beyond of a `MaskLook`."""
    distinct, counts = _tally(values)
    edge = edges(values)
    inner_values, inner = _tally(values[~edge])
    of_inner = np.zeros_like(counts)
    of_inner[np.searchsorted(distinct, inner_values)] = inner
    if len(distinct) > MOST_COUNTED:
        kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_COUNTED])
        distinct, counts, of_inner = distinct[kept], counts[kept], of_inner[kept]
    # With two values, none can lie between others.
    steps = [int(found.sum()) for found in ramps(values, colours)] if len(distinct) > 2 else [0, 0]
    return distinct, counts, of_inner, int(edge.sum()), *steps


def edges(values: np.ndarray) -> np.ndarray:
    """Pixels with one of four neighbours of another value, bool (H, W)."""
    edge = np.zeros(values.shape, bool)
    across = values[:, 1:] != values[:, :-1]
    down = values[1:] != values[:-1]
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    edge[1:] |= down
    edge[:-1] |= down
    return edge


def ramps(values: np.ndarray, colours: bool) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that differ from both neighbours in a row or column: between these, and beyond.

    Smoothing makes pixels between others along every edge, compression also makes some beyond
    them; drawn masks hardly have either. A colour lies between two others if each channel does.

    Returns: bool (H, W), and bool (H, W); a pixel can be in both, by its row and by its column.
    """
    found = np.zeros((2, *values.shape), bool)
    for step, views in ((values, found), (values.T, found.swapaxes(1, 2))):
        before, here, after = step[:, :-2], step[:, 1:-1], step[:, 2:]
        rows, columns = np.nonzero((here != before) & (here != after))
        a, b, c = (channels(part[rows, columns], colours) for part in (before, here, after))
        between = ((a - b) * (b - c) >= 0).all(-1)
        for view, those in zip(views, (between, ~between), strict=True):
            view[rows[those], columns[those] + 1] = True
    return found[0], found[1]


def channels(values: np.ndarray, colours: bool) -> np.ndarray:
    """Stored values as numbers that can be compared: (...,) -> int32 (..., 3) or (..., 1)."""
    if not colours:
        return values[..., None].astype(np.int32)
    return (values[..., None] >> np.array([16, 8, 0]) & 255).astype(np.int32)


def _tally(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct values, sorted, and the count of each, int64 (N,) both."""
    flat = values.ravel()
    if not flat.size:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    # Masks are made of runs; there are far fewer of these to sort than pixels.
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    lengths = np.diff(np.append(starts, flat.size))
    distinct, run_of = np.unique(flat[starts], return_inverse=True)
    counts = np.bincount(run_of, weights=lengths)
    return distinct.astype(np.int64), counts.astype(np.int64)


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 if the file says nothing that can be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged EXIF makes Pillow's parser raise many things
        return 1
    return value if value in range(1, 9) else 1
