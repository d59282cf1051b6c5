"""Before and after: some pictures with their masks as they were stored, and as they were mended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from model.data.classes import ClassTable
from model.data.doctor.case import Case
from model.data.doctor.findings import Report, printable
from model.data.images import decode
from model.data.preview import arrange, cell, overlay, sample

ROWS = 12


def write_sheet(
    case: Case,
    report: Report,
    names: list[str],
    classes: ClassTable,
    mended: Callable[[str], np.ndarray],
    path: Path,
) -> None:
    """Writes the sheet as a PNG: pictures, mask files, and the mended labels alone and over them.

    Those that a warning or an error names come first.

    Args: mended: the mended labels of a pair, uint8 (H, W).
    """
    concerned = {name for f in report.findings if f.severity != "note" for name in f.files}
    first = [name for name in names if name in concerned]
    chosen = sample(first, ROWS)
    if len(chosen) < ROWS:
        others = [name for name in names if name not in concerned]
        chosen += sample(others, ROWS - len(chosen))
    cells = []
    for name in chosen:
        image, labels = decode(case.images[name]), mended(name)
        pictures = [image]
        if name in case.masks:
            pictures.append(decode(case.masks[name]))
        if image.shape[:2] != labels.shape:
            image = np.asarray(Image.fromarray(image).resize(labels.shape[::-1]))
        pictures += [classes.palette()[labels], overlay(image, labels, classes)]
        cells.append(cell(pictures, printable(name)))
    before = "" if case.painters else "mask before, "
    title = printable(f"{case.target}: picture, {before}mask after, on the picture")
    arrange(cells, title, classes, columns=2).save(path, "PNG")
