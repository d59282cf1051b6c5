"""A mask that says what should have been found: read in whatever way it stores its classes.

Tried in this order: the colours of the model's classes, the encoding of the model's data set,
and what the mask doctor makes of it, which also mends smoothed edges and lossy compression.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.checkpoints.folder import Checkpoint
from model.data.class_file import ClassEntry, ClassFile
from model.data.classes import VOID
from model.data.datasets import DATA_SETS
from model.data.doctor.case import Case
from model.data.doctor.look import look_at_mask
from model.data.doctor.reading import read_encoding
from model.data.images import open_image
from model.data.masks import TRANSPARENT, MaskEncoding
from model.errors import DataError, ImageError


@dataclass(frozen=True)
class Truth:
    """Labels uint8 (H, W) with `VOID` where nothing counts, and how they were read, in words."""

    labels: np.ndarray
    words: str


def read_truth(path: Path, checkpoint: Checkpoint, size_hw: tuple[int, int]) -> Truth:
    """Reads a mask as labels of a checkpoint's classes.

    Args: size_hw: of the picture that it belongs to.

    Raises: `DataError` if it has another size or cannot be understood, `ImageError` if it is
        no picture.
    """
    truth = _by_colours(path, checkpoint) or _as_in_data_set(path, checkpoint)
    truth = truth or _by_doctor(path, checkpoint)
    height, width = truth.labels.shape
    if (height, width) != size_hw:
        raise DataError(
            f"{path.name} has {width} x {height} pixels, but the picture has {size_hw[1]} x "
            f"{size_hw[0]}. Give the mask of this picture, at its size."
        )
    if (truth.labels == VOID).all():
        names = ", ".join(checkpoint.classes.names)
        raise DataError(f"{path.name} holds none of this model's classes: {names}.")
    return truth


def _by_colours(path: Path, checkpoint: Checkpoint) -> Truth | None:
    """Where all its colours are those of classes; black counts for nothing unless it is one."""
    with open_image(path) as image:
        if image.mode not in ("RGB", "RGBA", "P"):
            return None
    encoding = MaskEncoding.colours(checkpoint.classes)
    values = {0: VOID, TRANSPARENT: VOID} | dict(encoding.values)
    try:
        labels = MaskEncoding("colour", values).read(path)
    except (DataError, ImageError):
        return None
    return Truth(labels, "its colours are the classes'") if (labels != VOID).any() else None


def _as_in_data_set(path: Path, checkpoint: Checkpoint) -> Truth | None:
    kind = DATA_SETS.get(checkpoint.data_name)
    encoding = getattr(kind, "encoding", None)
    if not isinstance(encoding, MaskEncoding) or kind.classes.names != checkpoint.classes.names:
        return None
    try:
        return Truth(encoding.read(path), f"stored as in {kind.title}")
    except (DataError, ImageError):
        return None


def _by_doctor(path: Path, checkpoint: Checkpoint) -> Truth:
    look = look_at_mask(path)
    if isinstance(look, str):
        raise DataError(look)
    described = ClassFile(
        classes=[ClassEntry(name=c.name, colour=c.colour.lower()) for c in checkpoint.classes]
    )
    case = Case(path.name, path.parent, masks={path.name: path}, described=described)
    reading, findings = read_encoding(case, {path.name: look})
    if reading is None or look.kind not in reading.storages:
        said = " ".join(finding.what for finding in findings)
        raise DataError(f"{path.name} cannot be read as a mask of this model's classes. {said}")
    notes = [f.what for f in findings if f.severity != "note"]
    return Truth(reading.labels(path, look.kind), " ".join([reading.words, *notes]))
