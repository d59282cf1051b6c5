"""COCO JSON, as polygons or as run lengths. One annotation per class: there are no instances.

Category ids are class ids + 1: COCO's start at 1, and many programs treat 0 as background.
Format: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from model.data.classes import ClassTable
from model.inference.exports.outlines import outlines
from model.inference.exports.picture import Picture
from model.inference.segmenter import Segmentation


def polygons(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """Each connected part of a class is one polygon.

    COCO's polygons have no holes, so a hole is joined to its exterior by a zero-width line
    (see `Outline.one_ring`); pycocotools fills exactly the class's pixels.
    """
    return _file(segmentation, picture, chosen, _polygons)


def run_lengths(segmentation: Segmentation, picture: Picture, chosen: Collection[int]) -> bytes:
    """Each class is a compressed run-length mask."""
    return _file(segmentation, picture, chosen, _run_lengths)


def merge(files: Sequence[Path], classes: ClassTable) -> Iterator[str]:
    """The text, in pieces, of one file for several pictures of the same classes.

    Args: files: of one picture each, at least one.
    """
    yield '{"categories":' + _text(_read(files[0])["categories"]) + ',"images":['
    for number, file in enumerate(files, 1):
        image = _read(file)["images"][0] | {"id": number}
        yield ("," if number > 1 else "") + _text(image)
    yield '],"annotations":['
    count = 0
    for number, file in enumerate(files, 1):
        for annotation in _read(file)["annotations"]:
            count += 1
            yield ("," if count > 1 else "") + _text(annotation | {"id": count, "image_id": number})
    yield "]}"


def _file(
    segmentation: Segmentation,
    picture: Picture,
    chosen: Collection[int],
    encode: Callable[[np.ndarray], Any],
) -> bytes:
    height, width = segmentation.labels.shape
    annotations = []
    for info in segmentation.classes:
        mask = segmentation.labels == info.id
        if info.id not in chosen or not mask.any():
            continue
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": 1,
                "category_id": info.id + 1,
                "segmentation": encode(mask),
                "area": int(mask.sum()),
                "bbox": _box(mask),
                "iscrowd": 0,
            }
        )
    content = {
        "images": [{"id": 1, "file_name": picture.name, "width": width, "height": height}],
        "categories": [
            {"id": info.id + 1, "name": info.name, "supercategory": "", "color": info.colour}
            for info in segmentation.classes
            if info.id in chosen
        ],
        "annotations": annotations,
    }
    return _text(content).encode()


def _polygons(mask: np.ndarray) -> list[list[int]]:
    return [outline.one_ring().ravel().tolist() for outline in outlines(mask)]


def _run_lengths(mask: np.ndarray) -> dict[str, Any]:
    from pycocotools import mask as coco

    encoded = coco.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(mask.shape), "counts": encoded["counts"].decode()}


def _box(mask: np.ndarray) -> list[int]:
    """x, y, width, height of the smallest box around the pixels, in pixels."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top]


def _text(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_bytes())
