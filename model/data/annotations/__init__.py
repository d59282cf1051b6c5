"""Annotations that outline things, in the formats of labelling tools, to label arrays.

>>> from model.data import annotations                         # doctest: +SKIP
>>> shapes = annotations.read("instances_train.json")          # doctest: +SKIP
>>> labels = shapes.labels("000000000139", height=426, width=640)  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.data.annotations.base import AnnotationSet
from model.data.annotations.coco import CocoAnnotations, Crowd
from model.data.annotations.labelme import LabelMeAnnotations
from model.data.annotations.scalabel import ScalabelAnnotations
from model.data.annotations.yolo import YoloAnnotations
from model.data.files import files_in, key_of
from model.data.schema import parse_json
from model.errors import DataError

__all__ = ["AnnotationSet", "Crowd", "read"]

FORMATS = (
    "a folder of YOLO segmentation .txt files, a COCO .json file, a folder of LabelMe .json "
    "files, or Scalabel / BDD100K .json"
)


def read(
    path: str | Path, class_names: list[str] | None = None, crowd: Crowd = "class"
) -> AnnotationSet:
    """Opens annotations; the format is recognised.

    Args:
        path: a folder of `.txt` (YOLO) or `.json` (LabelMe, Scalabel) files, or one `.json`
            file (COCO, Scalabel, LabelMe).
        class_names: in the order of their ids; by default those the annotations state. Not
            for COCO, which always states them.
        crowd: what COCO's `iscrowd` regions count as.

    Raises: `DataError` if nothing is there, or it is in none of these formats.
    """
    path = Path(path)
    if path.is_dir():
        files = list(files_in(path, (".json",)))
        if not files:
            return YoloAnnotations(path, class_names)
    elif path.is_file():
        files = [path]
    else:
        raise DataError(f"{path} does not exist. Give {FORMATS}.")
    contents = [(file, _without_photograph(parse_json(file))) for file in files]
    kinds = [_kind_of(content) for _, content in contents]
    kind = next(filter(None, kinds), None)
    if kind is None:
        raise DataError(f"{files[0].name} is in none of the known formats. Give {FORMATS}.")
    for file, own in zip(files, kinds, strict=True):
        if own is not kind:
            raise DataError(
                f"{file.relative_to(path)} is not {kind.format}, as other files in {path} are. If "
                "it is no annotation, move it elsewhere."
            )
    if kind is CocoAnnotations:
        if len(contents) > 1:
            raise DataError(
                f"{path} holds several COCO files, beginning with {files[0].name}. Give one file."
            )
        return CocoAnnotations(*contents[0], crowd)
    if kind is LabelMeAnnotations:
        folder = path if path.is_dir() else path.parent
        named = {key_of(file.relative_to(folder)): (file, data) for file, data in contents}
        return LabelMeAnnotations(named, class_names)
    return ScalabelAnnotations(contents, class_names)


def _kind_of(content: Any) -> type[AnnotationSet] | None:
    if _has(content, "annotations", "images"):
        return CocoAnnotations
    if _has(content, "shapes"):
        return LabelMeAnnotations
    if isinstance(content, list) or _has(content, "frames") or _has(content, "labels", "name"):
        return ScalabelAnnotations
    return None


def _without_photograph(content):
    """LabelMe embeds it in the annotation, and all of them together would not fit into memory."""
    if isinstance(content, dict):
        content.pop("imageData", None)
    return content


def _has(content, *keys: str) -> bool:
    return isinstance(content, dict) and all(key in content for key in keys)
