"""The checkpoints that all front ends share: one pool of opened segmenters per process."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

from app.discretion import without_folders
from app.queue import InferenceQueue, QueuedSegmenter
from model.checkpoints import zoo
from model.checkpoints.folder import Checkpoint
from model.checkpoints.titles import data_title, title, told_apart
from model.errors import CheckpointError, UnknownModelError
from model.inference.pool import SegmenterPool
from model.inference.segmenter import Segmenter

ENGINE_VARIABLE = "UNET_STUDIO_ENGINE"
"""Environment variable that names the engine: "auto" (also by default), "openvino", "torch"."""

PRECISION_VARIABLE = "UNET_STUDIO_PRECISION"
"""Environment variable that names the precision: "auto" (also by default), "f32", ..."""

POOL = SegmenterPool(
    engine=os.environ.get(ENGINE_VARIABLE) or "auto",
    precision=os.environ.get(PRECISION_VARIABLE) or "auto",
)

QUEUE = InferenceQueue()
"""What all pictures of this process wait in."""

_preselected: Checkpoint | None = None


def catalogue() -> list[Checkpoint]:
    """The checkpoints that can be chosen, damaged ones left out, grouped by data set."""
    by_name = {checkpoint.name: checkpoint for checkpoint in zoo.list_bundled()[0]}
    if _preselected is not None:
        by_name[_preselected.name] = _preselected
    return sorted(by_name.values(), key=lambda c: (c.data_name, c.name))


def preselect(model: str) -> Segmenter:
    """Makes a model the default of pages and API, and opens it.

    Args: model: a name in `weights/`, a checkpoint folder's path, or an id on the Hub.
    Raises: as `Segmenter` does.
    """
    global _preselected
    checkpoint = zoo.find(model)
    segmenter = POOL.get(checkpoint)
    _preselected = checkpoint
    return segmenter


def default() -> Checkpoint | None:
    """The model for those who name none; None if there is no model at all.

    It is the preselected one, else one of `pets`, as pets are what a visitor's photographs
    are likeliest to show; among these the one with the highest mean IoU on validation.
    """
    if _preselected is not None:
        return _preselected
    return max(catalogue(), key=lambda c: (c.data_name == "pets", _mean_iou(c)), default=None)


def find(name: str | None, *, anywhere: bool = False) -> Checkpoint:
    """The checkpoint of that name, the default one for None.

    Only names in the catalogue count: whoever calls over the network must not have folders
    opened by their paths.

    Args: anywhere: also take folders' paths and ids on the Hub, for somebody at this machine.
    Raises: `UnknownModelError` listing what there is, `CheckpointError` if it is damaged.
    """
    served = {checkpoint.name: checkpoint for checkpoint in catalogue()}
    checkpoint = default() if name is None else served.get(name)
    if checkpoint is not None:
        return checkpoint
    if anywhere and name and "/" in name:
        return dataclasses.replace(zoo.find(name), name=name)
    if name in (broken := damaged()):
        raise CheckpointError(broken[name])
    names = ", ".join(served) or "none; train one, or put a checkpoint folder into weights/"
    wanted = "There is no model" if name is None else f"There is no model '{name}'"
    raise UnknownModelError(f"{wanted}. Models: {names}.")


def segmenter(checkpoint: Checkpoint) -> QueuedSegmenter:
    """The checkpoint's segmenter from the pool, opened now if need be; its pictures wait their
    turn in `QUEUE`. Raises as `SegmenterPool.get` does."""
    return QueuedSegmenter(POOL.get(checkpoint), QUEUE)


def open_models() -> list[str]:
    """Names of the models in memory, without the folders that some were opened from."""
    return [without_folders(name) for name in POOL.open_models()]


def damaged() -> dict[str, str]:
    """Why each checkpoint that cannot be chosen was left out, by name, for the public."""
    return {name: without_folders(text) for name, text in zoo.list_bundled()[1].items()}


def label(checkpoint: Checkpoint) -> str:
    """How lists of all data sets call it: "Oxford-IIIT Pet · MobileNetV2 (pretrained)"."""
    return f"{data_title(checkpoint)} · {title(checkpoint)}"


def labels(checkpoints: Iterable[Checkpoint]) -> dict[str, str]:
    """Labels by checkpoint name, told apart as in `titles`."""
    return told_apart({checkpoint.name: label(checkpoint) for checkpoint in checkpoints})


def _mean_iou(checkpoint: Checkpoint) -> float:
    """On validation, in the reference precision; -1 for a checkpoint without figures."""
    figures = checkpoint.figures("validation")
    return figures["mean_iou"] if figures else -1.0
