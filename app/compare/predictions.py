"""What models see in pictures, remembered by checkpoint and picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import models
from app.compare.catalogue import said
from app.compare.sources import Entry, Picture
from app.compare.turns import patience, too_long, turn
from app.overlay import reduce_image, reduce_labels
from model.checkpoints import zoo
from model.checkpoints.folder import Checkpoint
from model.data.images import decode
from model.errors import StudioError
from model.evaluation.metrics import Metrics, confusion_matrix
from model.evaluation.report.candidate import Candidate

PANEL_SIDE = 1400
"""Longest side, in pixels, of the pictures on the page: enough to look closely."""


@dataclass(frozen=True)
class Prediction:
    """What a model saw, at the size of the panels.

    Attributes:
        labels: uint8 (h, w), reduced by nearest neighbour.
        shares: float64 (C,), fraction of the whole picture's pixels per class.
        mean_iou: over the classes of this picture, at its full size; None without truth.
        wrong: share of the pixels with a truth; None without.
        engine: what computed it, e.g. "openvino f32".
    """

    labels: np.ndarray
    shares: np.ndarray
    mean_iou: float | None
    wrong: float | None
    engine: str


def predict(model: Candidate, picture: Picture) -> Prediction:
    """Segments at full size and keeps what the panels need. Raises `StudioError`."""
    key = (zoo.version(model.checkpoint.path), picture.key, picture.truth is not None)
    return _predict(key, model.checkpoint, picture)


def reduced(picture: Picture) -> tuple[np.ndarray, str]:
    """The picture at the panels' size, uint8 (h, w, 3), and its own size in words.

    Raises: `StudioError` if it cannot be read.
    """
    return _reduced(picture.key, picture)


def disagreements(
    chosen: Sequence[Candidate], entries: Sequence[Entry], place: DeltaGenerator
) -> tuple[dict[int, float], list[str]]:
    """The share of each picture's pixels on which not all models agree, in [0, 1].

    Where a committee of models quarrels, a label teaches most: H. S. Seung et al., "Query by
    Committee", COLT 1992.

    Args: place: where the progress is shown.
    Returns: the shares by the entry's index, and a sentence on each that could not be segmented,
        and on those that there was no time for; what is done is remembered for the next time.
    """
    whole = patience()
    key = tuple(zoo.version(model.checkpoint.path) for model in chosen)
    checkpoints = [model.checkpoint for model in chosen]
    shares, failures = {}, []
    for i, entry in enumerate(entries):
        if whole.passed():
            rest = len(entries) - i
            failures.append(f"{too_long()} {rest} more are left out: the same button goes on.")
            break
        try:
            with turn(whole) as cancelled:
                picture = entry.open()
                shares[i] = _disagreement((key, picture.key), checkpoints, picture, cancelled)
        except StudioError as error:
            failures.append(f"{entry.title} is left out. {said(error)}")
        place.progress((i + 1) / len(entries), f"{i + 1} of {len(entries)} pictures")
    place.empty()
    return shares, failures


def differ(labels: Iterable[np.ndarray]) -> np.ndarray:
    """Where label maps, uint8 (H, W) each, are not all equal: bool (H, W)."""
    first, *others = labels
    return np.any([other != first for other in others], axis=0)


# Resources, not data: they are only read, and copies of the arrays would cost as much as
# showing them.
@st.cache_resource(show_spinner="Segmenting …", max_entries=48)
def _predict(key: tuple, _checkpoint: Checkpoint, _picture: Picture) -> Prediction:
    with turn(patience()) as cancelled:
        segmenter = models.POOL.get(_checkpoint)
        segmentation = segmenter.segment(_picture.source, cancelled=cancelled)
        mean_iou = wrong = None
        if _picture.truth is not None:
            size = len(segmentation.classes)
            metrics = Metrics.of(confusion_matrix(_picture.truth, segmentation.labels, size))
            mean_iou, wrong = metrics.mean_iou, 1 - metrics.accuracy
        return Prediction(
            labels=reduce_labels(segmentation.labels, PANEL_SIDE),
            shares=segmentation.shares(),
            mean_iou=mean_iou,
            wrong=wrong,
            engine=f"{segmentation.engine} {segmentation.precision}",
        )


@st.cache_resource(show_spinner=False, max_entries=16)
def _reduced(key: str, _picture: Picture) -> tuple[np.ndarray, str]:
    source = _picture.source
    with turn(patience()):
        image = source if isinstance(source, np.ndarray) else decode(source)
        height, width = image.shape[:2]
        return reduce_image(image, PANEL_SIDE), f"{width} by {height} pixels"


@st.cache_resource(show_spinner=False, max_entries=20_000)
def _disagreement(
    key: tuple,
    _checkpoints: list[Checkpoint],
    _picture: Picture,
    _cancelled: Callable[[], bool],
) -> float:
    """In a turn that the caller holds, who gives up when `_cancelled` says so."""
    source = _picture.source
    if isinstance(source, bytes | Path):
        source = decode(source)  # once for all models
    segmenters = [models.POOL.get(checkpoint) for checkpoint in _checkpoints]
    labels = [one.segment(source, cancelled=_cancelled).labels for one in segmenters]
    return float(differ(labels).mean())
