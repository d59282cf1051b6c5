"""Annotations to a folder of mask images, which every program can read."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from model.data import class_file
from model.data.annotations.base import AnnotationSet
from model.data.classes import VOID
from model.data.files import empty_folder, pictures_in
from model.data.images import decode
from model.data.masks import index_png
from model.errors import DataError

Missing = Literal["error", "background", "skip"]


@dataclass
class Conversion:
    """What `write_masks` did.

    Attributes:
        written: how many masks.
        pixels: number of pixels by label, int64 (256,).
        without_annotation: pictures that there are no annotations for.
        without_picture: annotations that there is no picture for.
        skipped: annotations without an area, by kind.
    """

    written: int = 0
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    without_annotation: list[str] = field(default_factory=list)
    without_picture: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)


def write_masks(
    annotations: AnnotationSet, images: Path, output: Path, missing: Missing = "error"
) -> Conversion:
    """Writes a palette PNG of class ids for each picture, and a `classes.yaml`.

    Args:
        images: folder of the pictures; subfolders are kept.
        output: folder for the masks, empty or new.
        missing: pictures without annotations are an error, or all background, or left out.

    Raises: `DataError`, `ImageError`; `ConfigError` if `output` is not empty.
    """
    from tqdm import tqdm

    pictures = pictures_in(images)
    partner = match(annotations.names(), list(pictures))
    result = Conversion(skipped=annotations.skipped)
    result.without_annotation = [name for name in pictures if name not in partner]
    result.without_picture = sorted(set(annotations.names()) - set(partner.values()))
    if not partner:
        raise DataError(
            f"No picture in {images} has the name of an annotation: pictures are called "
            f"{_some(pictures)}, annotations {_some(annotations.names())}."
        )
    if result.without_annotation and missing == "error":
        raise DataError(
            f"{len(result.without_annotation)} of {len(pictures)} pictures have no annotation: "
            f"{_some(result.without_annotation)}. If they show nothing but background, add "
            "--missing background; to leave them out, --missing skip."
        )
    empty_folder(output)
    with TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as folder:
        partial = Path(folder) / "masks"  # so that an error leaves nothing half-written
        partial.mkdir()
        for name, path in tqdm(pictures.items(), desc="masks", unit="picture", disable=None):
            if name not in partner and missing == "skip":
                continue
            height, width = decode(path).shape[:2]
            if name in partner:
                labels = annotations.labels(partner[name], height, width)
            else:
                labels = np.zeros((height, width), np.uint8)
            target = partial / f"{name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(index_png(labels, annotations.classes))
            result.written += 1
            result.pixels += np.bincount(labels.ravel(), minlength=256)
        # Void whether it occurs or not: the files of parts that are converted apart must agree.
        text = class_file.text(annotations.classes, [VOID])
        (partial / class_file.NAME).write_text(text, encoding="utf-8")
        output.rmdir()  # it is empty; not every system lets a folder replace one
        os.replace(partial, output)
    return result


def match(annotated: list[str], pictures: list[str]) -> dict[str, str]:
    """Picture name -> annotation name: the same path, else the same file name if it is unique."""
    by_path = set(annotated)
    by_file: dict[str, list[str]] = {}
    for name in annotated:
        by_file.setdefault(name.rsplit("/", 1)[-1], []).append(name)
    pictures_by_file = Counter(name.rsplit("/", 1)[-1] for name in pictures)
    partner = {}
    for name in pictures:
        file = name.rsplit("/", 1)[-1]
        candidates = by_file.get(file, [])
        if name in by_path:
            partner[name] = name
        elif len(candidates) == 1 and pictures_by_file[file] == 1:
            partner[name] = candidates[0]
    return partner


def _some(names) -> str:
    names = list(names)
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
