"""Made-up pictures with masks, whole, for the tests to break in one way each."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

SIZE_HW = (60, 80)
COUNT = 24
COLOURS = np.array([(0, 0, 0), (128, 64, 128), (70, 130, 180)], np.uint8)


def draw(seed: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A picture, uint8 (60, 80, 3), and its labels, uint8 (60, 80): areas of `classes` classes.

    The picture's colours follow the labels, as a photograph's do.
    """
    rng = np.random.default_rng(seed)
    height, width = SIZE_HW
    rows, columns = np.mgrid[:height, :width]
    # Of the points that areas are around, two belong to each class.
    centres = rng.uniform(0, 1, (2 * classes, 2)) * SIZE_HW
    distance = [np.hypot(rows - y, columns - x) for y, x in centres]
    labels = (np.argmin(distance, 0) % classes).astype(np.uint8)
    colours = rng.integers(30, 226, (classes, 3))
    image = colours[labels] + rng.normal(0, 6, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8), labels


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def snapshot(folder: Path) -> dict[str, str]:
    """A digest of every file, by name."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def in_colours(labels: np.ndarray) -> np.ndarray:
    return COLOURS[labels]


def binary(labels: np.ndarray) -> np.ndarray:
    """0 and 255: class 1 against the others."""
    return (labels == 1).astype(np.uint8) * 255


def through_jpeg(pixels: np.ndarray, quality: int = 90) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def smoothed(pixels: np.ndarray) -> np.ndarray:
    """Resized there and back as drawing programs do, with averaging."""
    image = Image.fromarray(pixels)
    large = image.resize((4 * image.width, 4 * image.height), Image.Resampling.NEAREST)
    between = large.resize((image.width + 2, image.height + 2), Image.Resampling.BOX)
    return np.asarray(between.resize(image.size, Image.Resampling.BILINEAR))


def with_orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif
