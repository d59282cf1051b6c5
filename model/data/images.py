"""The one place that opens a picture.

Training, command line, pages and API all come through `decode`, so a picture looks
the same to each of them. The rules:

- EXIF rotation is applied; of an animation or a multi-page file the first frame is used
  (`has_more_pages` tells).
- Transparency is composited on white.
- Palette, grey, CMYK and other colour modes become RGB as Pillow converts them;
  embedded ICC profiles are not applied.
- 16-bit grey maps 0..65535 to 0..255. 32-bit integer and float pictures have no agreed
  range: their own minimum and maximum map to 0 and 255, NaN and infinities to 0.
"""

from __future__ import annotations

import io
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from model.errors import ImageError, ImageTooLargeError

MAX_BYTES = 128 * 2**20
"""Of a picture that is sent: as bytes or in a stream, as uploads come."""

MAX_FILE_BYTES = 2**30
"""Of a file: 100 megapixels of 16-bit RGBA without compression take less."""

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
SUBFILE_TYPE, REDUCED, TRANSPARENCY = 254, 1, 4  # TIFF's tag NewSubfileType, and bits of it

MAX_PIXELS = 100_000_000

# Formats that people have pictures in. Pillow knows dozens more, each a parser that
# hostile input could reach (PSD, EPS runs Ghostscript, ...). MPO, two JPEGs in one file,
# cannot be asked for by name: Pillow's JPEG reader opens it.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000")
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm",
    ".avif", ".jp2",
)  # fmt: skip

MAX_SCANS = 100
"""Passes over all pixels that a progressive JPEG may ask for. Encoders make about ten; a file of a
megabyte can ask for ten thousand, which would take minutes."""

BAND_ROWS = 256
"""Rows that are converted at a time."""

Source = str | Path | bytes | BinaryIO

# Sizes are checked against MAX_PIXELS before any pixel is decoded; Pillow's own lower
# limit would refuse pictures we accept.
Image.MAX_IMAGE_PIXELS = None


def decode(
    source: Source, *, max_pixels: int = MAX_PIXELS, max_bytes: int | None = None
) -> np.ndarray:
    """Reads a picture as RGB.

    Args:
        source: a path, the file's bytes, or a binary file object.
        max_pixels: refuse pictures with more pixels than this.
        max_bytes: refuse files with more bytes than this, by default `MAX_FILE_BYTES` for a path
            and `MAX_BYTES` for anything else.

    Returns:
        uint8 (H, W, 3), values 0..255.

    Raises:
        ImageError: not a picture, truncated, empty, or of an unsupported format.
        ImageTooLargeError: over one of the two limits.
    """
    name = describe(source)
    with open_image(source, max_pixels=max_pixels, max_bytes=max_bytes) as image:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ImageOps.exif_transpose(image, in_place=True)
                return _pixels(image)
        except Exception as error:  # a damaged file can fail in any of Pillow's decoders
            raise ImageError(
                f"{name} is damaged or cut short ({_short(error)}). Save or upload it again."
            ) from error


def open_image(
    source: Source, *, max_pixels: int = MAX_PIXELS, max_bytes: int | None = None
) -> Image.Image:
    """Opens a picture without decoding its pixels, after checking format and limits.

    Masks are read through this as well: their values must stay as they are in the file.
    Raises the same errors as `decode`.
    """
    name = describe(source)
    file = _as_file(source, name, max_bytes)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError as error:
        if file.getvalue()[:4] in TIFF_STARTS:
            raise ImageError(
                f"{name} is a TIFF with bands or a bit depth that this program does not read. "
                "Export it as 8-bit RGB, or as 8-bit or 16-bit grey."
            ) from error
        raise ImageError(
            f"{name} is not a picture in a format this program reads "
            f"({', '.join(s[1:] for s in SUFFIXES)})."
        ) from error
    except Exception as error:
        raise ImageError(f"{name} cannot be read as a picture ({_short(error)}).") from error
    # In compressed data 0xff is followed by zero: this is the marker of a pass, or a thumbnail's.
    if image.format in ("JPEG", "MPO") and file.getvalue().count(b"\xff\xda") > MAX_SCANS:
        raise ImageTooLargeError(
            f"{name} is a JPEG with more than {MAX_SCANS} passes over its pixels. Save it again "
            "as an ordinary JPEG or PNG."
        )
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLargeError(
            f"{name} has {width} x {height} pixels ({width * height / 1e6:.0f} megapixels); "
            f"the limit is {max_pixels / 1e6:.0f} megapixels. Make it smaller or cut it up."
        )
    if width * height == 0:
        raise ImageError(f"{name} has no pixels.")
    return image


def has_more_pages(path: Path) -> bool:
    """Whether a TIFF has pages besides the first, which is the only one that is read.

    Thumbnails, overviews and transparency masks are no pages. False also for what is no TIFF.
    """
    try:
        with warnings.catch_warnings(), Image.open(path, formats=("TIFF",)) as image:
            warnings.simplefilter("ignore")
            for page in itertools.count(1):
                image.seek(page)
                if not image.tag_v2.get(SUBFILE_TYPE, 0) & (REDUCED | TRANSPARENCY):
                    return True
    except Exception:  # the end of the file, or damage, which `decode` reports
        return False


def describe(source: Source) -> str:
    """What an error message calls a source: the file's name, or "The picture"."""
    if isinstance(source, str | Path):
        return Path(source).name
    return "The picture"


def _as_file(source: Source, name: str, max_bytes: int | None) -> io.BytesIO:
    if max_bytes is None:
        max_bytes = MAX_FILE_BYTES if isinstance(source, str | Path) else MAX_BYTES
    if isinstance(source, str | Path):
        try:
            # Read whole: the file handle is not left open, and a file that changes
            # while Pillow decodes it lazily cannot give half of each version.
            size = Path(source).stat().st_size
            data = b"" if size > max_bytes else Path(source).read_bytes()
        except OSError as error:
            raise ImageError(f"{source} cannot be opened: {error.strerror or error}.") from error
    else:
        data = source if isinstance(source, bytes) else source.read(max_bytes + 1)
        size = len(data)
    if size > max_bytes:
        raise ImageTooLargeError(
            f"{name} is larger than the limit of {max_bytes / 2**20:.0f} MiB. Make it smaller."
        )
    if size == 0:
        raise ImageError(f"{name} is empty (0 bytes).")
    return io.BytesIO(data)


def _pixels(image: Image.Image) -> np.ndarray:
    """The picture as RGB, uint8 (H, W, 3).

    Pillow keeps 4 bytes a pixel, and each conversion takes as many again, which is too much for
    100 megapixels: pictures are converted in bands.
    """
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    span = (0.0, 0.0)
    if image.mode in ("I", "F"):
        # Pillow opens 16-bit PGM as 32-bit, scaled to 16.
        of_16_bits = image.format == "PPM" and image.mode == "I"
        span = (0.0, 65535.0) if of_16_bits else _span(image)
    for rows, band in _bands(image):
        pixels[rows] = np.asarray(_to_rgb(band, span))
    return pixels


def _bands(image: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    for top in range(0, image.height, BAND_ROWS):
        bottom = min(top + BAND_ROWS, image.height)
        yield slice(top, bottom), image.crop((0, top, image.width, bottom))


def _to_rgb(image: Image.Image, span: tuple[float, float]) -> Image.Image:
    """Args: span: the values that become 0 and 255, for 32-bit pictures."""
    if image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.uint32)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode in ("I", "F"):
        return Image.fromarray(_stretch(np.asarray(image, np.float64), *span)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _span(image: Image.Image) -> tuple[float, float]:
    """The smallest and the largest finite value."""
    low, high = np.inf, -np.inf
    for _, band in _bands(image):
        values = np.asarray(band, np.float64)
        finite = values[np.isfinite(values)]
        low = min(low, finite.min(initial=np.inf))
        high = max(high, finite.max(initial=-np.inf))
    return low, high


def _stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(values.shape, np.uint8)
    scaled = (np.where(finite, values, low) - low) / max(high - low, 1e-12) * 255
    return np.where(finite, scaled, 0).round().astype(np.uint8)


def _short(error: Exception) -> str:
    return str(error).strip().rstrip(".")[:200] or type(error).__name__
