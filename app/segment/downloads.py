"""Files to take home: every export of `model.inference.exports`, for one picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app import overlay
from app.limits import MOST_PROBABILITIES, check_outlines
from app.segment.jobs import Watch
from app.segment.options import Chosen
from model.data.classes import ClassTable
from model.data.images import decode
from model.data.masks import read_index
from model.errors import StudioError
from model.inference.exports import EXPORTS, Picture
from model.inference.segmenter import Segmentation, Segmenter

LISTED = [name for name in EXPORTS if name not in ("mask", "overlay")]
"""Exports besides those that have a button of their own, in their order on the page."""


def overlay_png(path: Path, mask: Path, classes: ClassTable, view: dict[str, Any]) -> bytes:
    """The overlay as it looks on the page, at the picture's full size.

    Args:
        path, mask: the picture, and the index PNG of its segmentation.
        view: "opacity" in [0, 1], "hidden" class ids, "style" as for `overlay.drawn_as`.
    """
    style = view.get("style") if view.get("style") in ("outline", "hatch") else "fill"
    labels = overlay.drawn_as(read_index(mask).astype(np.uint8), style)
    picture = overlay.overlay(decode(path), labels, classes, view["opacity"], shown(classes, view))
    buffer = io.BytesIO()
    # Level 1 takes a fifth of the time and makes the file a tenth larger.
    Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def shown(classes: ClassTable, view: dict[str, Any]) -> set[int]:
    """Ids of the classes that the page shows."""
    return {info.id for info in classes} - set(view["hidden"])


def export(
    name: str,
    picture: Picture,
    mask: Path,
    segmenter: Segmenter,
    chosen: Chosen,
    ids: set[int],
    watch: Watch,
) -> bytes:
    """One of `EXPORTS`.

    The labels are those of `mask`; maps and probabilities are computed now, in the same way.

    Raises: `StudioError` for an unknown name, and where probabilities would fill the memory.
    """
    if name not in EXPORTS:
        raise StudioError(f"There is no export '{name}'. Exports: {', '.join(EXPORTS)}.")
    classes = segmenter.classes
    height, width = picture.image.shape[:2]
    fits = len(classes) * height * width <= MOST_PROBABILITIES
    if name == "npz" and not fits:
        raise StudioError(
            f"Probabilities of {len(classes)} classes for {width} x {height} pixels are too many "
            "to be sent. Take a smaller picture, or the command line: docs/outputs.md."
        )
    needs = EXPORTS[name].needs
    if needs is None and name != "zip":
        segmentation = Segmentation(
            labels=read_index(mask).astype(np.uint8),
            classes=classes,
            model=segmenter.name,
            engine=segmenter.engine,
            precision=segmenter.precision,
        )
    else:
        maps = {needs: True} if needs else {"confidence": True, "entropy": True}
        if name == "zip":
            maps["probabilities"] = fits
        segmentation = segmenter.segment(
            picture.image,
            chosen.segment_options(classes, **maps),
            progress=watch.progress,
            cancelled=watch.cancelled,
        )
    if EXPORTS[name].outlines:
        check_outlines(segmentation.labels)
    return EXPORTS[name].write(segmentation, picture, ids)
