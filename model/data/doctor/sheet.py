"""Before and after: some pictures with their masks as they were stored, and as repaired."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from model.data.classes import ClassTable
from model.data.doctor.case import Case
from model.data.doctor.findings import Report, printable
from model.data.doctor.look import edges
from model.data.drawing import overlay
from model.data.images import decode
from model.data.sheets import arrange, cell, sample

ROWS = 12
DETAIL = 32
"""Side, in pixels of the mask, of the window that is shown enlarged."""


def write_sheet(
    case: Case,
    report: Report,
    names: list[str],
    classes: ClassTable,
    mended: Callable[[str], np.ndarray],
    path: Path,
) -> None:
    """Writes the sheet as a PNG: pictures, mask files, and the repaired labels alone and over them.

    Of each mask there is also a detail, where most of its edges are: noise is a matter of single
    pixels. Those that a warning or an error names come first.

    Args: mended: the repaired labels of a pair, uint8 (H, W).
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
        after = classes.palette()[labels]
        pictures = [image, after]
        if name in case.masks:
            before = _brightened(decode(case.masks[name]))
            pictures = [image, before, after]
            if before.shape == after.shape:
                window = _detail(labels)
                pictures += [before[window], after[window]]
        if image.shape[:2] != labels.shape:
            image = np.asarray(Image.fromarray(image).resize(labels.shape[::-1]))
        pictures.append(overlay(image, labels, classes))
        cells.append(cell(pictures, printable(name)))
    masks = "mask" if case.painters else "mask before, after, details of both"
    title = printable(f"{case.target}: picture, {masks}, on the picture")
    arrange(cells, title, classes, columns=1).save(path, "PNG")


def _brightened(pixels: np.ndarray) -> np.ndarray:
    """Class ids are nearly black: the brightest of them becomes white or almost so."""
    return pixels * np.uint8(255 // max(1, int(pixels.max())))


def _detail(labels: np.ndarray) -> tuple[slice, slice]:
    """The window, of `DETAIL` pixels or less, that has the most edges."""
    height, width = labels.shape
    edge = edges(labels)
    windows = [
        np.s_[y : y + DETAIL, x : x + DETAIL]
        for y in range(0, max(1, height - DETAIL), DETAIL // 2)
        for x in range(0, max(1, width - DETAIL), DETAIL // 2)
    ]
    return max(windows, key=lambda window: edge[window].sum())
