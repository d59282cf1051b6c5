"""Pixels per class as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from model.data.classes import ClassTable
from model.inference.exports.picture import Picture
from model.inference.segmenter import Segmentation

COLUMNS = ("picture", "width", "height", "class_id", "class", "pixels", "share")


def table(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """A row for every class, absent ones too; `share` is the fraction of the picture, 0 to 1."""
    height, width = segmentation.labels.shape
    pixels = segmentation.pixels()
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for info in segmentation.classes:
        count = int(pixels[info.id])
        share = count / segmentation.labels.size
        writer.writerow((picture.name, width, height, info.id, info.name, count, share))
    return text.getvalue().encode()


def merge(files: Sequence[Path], classes: ClassTable) -> Iterator[str]:
    """The text, in pieces, of one table for several pictures."""
    yield ",".join(COLUMNS) + "\n"
    for file in files:
        yield file.read_text(encoding="utf-8").partition("\n")[2]
