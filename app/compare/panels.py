"""One picture through each model: overlays, errors, where they disagree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import streamlit as st

from app import models
from app.compare import sources
from app.compare.choice import Chosen
from app.compare.sources import Picture
from app.compare.words import NOTHING, percent
from app.overlay import OPACITY, overlay, reduce_image, reduce_labels, share_text
from model.data.classes import VOID, ClassTable
from model.data.images import decode
from model.errors import StudioError
from model.evaluation.metrics import Metrics, confusion_matrix

PANEL_SIDE = 900
"""Longest side, in pixels, of the pictures on the page."""

MARKS = ClassTable.named(same="#000000", marked="#E6007E")
MARK_OPACITY = 0.85

TEST, EXAMPLES, OWN = "Test pictures", "Examples", "Your own"


@dataclass(frozen=True)
class Result:
    """What a model saw, at the size of the panels.

    Attributes:
        labels: uint8 (h, w), reduced by nearest neighbour.
        shares: float64 (C,), fraction of the whole picture's pixels per class.
        mean_iou: over the classes of this picture, at its full size; None without truth.
        engine: what computed it, e.g. "openvino f32".
    """

    labels: np.ndarray
    shares: np.ndarray
    mean_iou: float | None
    engine: str


@st.fragment
def picture_section(chosen: Sequence[Chosen]) -> None:
    """Draws the whole section. A fragment: moving the slider redraws nothing else."""
    picture = _pick(chosen)
    if picture is None:
        return
    same_classes = len({tuple(m.checkpoint.classes.names) for m in chosen}) == 1
    if not same_classes:
        picture = replace(picture, truth=None)  # it is in the classes of one of them
    try:
        image, size = _reduced(picture.key, picture.source)
    except StudioError as error:
        st.error(str(error))
        return
    results: dict[str, Result] = {}
    for model in chosen:
        key = (*model.version(), picture.key, picture.truth is not None)
        try:
            results[model.name] = _segment(key, model, picture)
        except StudioError as error:
            st.error(f"{model.title} cannot be opened. {error}")
    if not results:
        return
    shown = [model for model in chosen if model.name in results]
    opacity, only = _controls(shown)
    with st.container(key="panels"):
        _overlays(image, size, shown, results, opacity, only)
        if picture.truth is not None:
            _errors(image, picture.truth, shown, results, opacity, only)
        _disagreement(image, shown, results, same_classes)
    _protocol(picture, shown, results)


def difference(labels: Sequence[np.ndarray]) -> np.ndarray:
    """Where label maps, uint8 (H, W) each, are not all equal: bool (H, W)."""
    return np.any([other != labels[0] for other in labels[1:]], axis=0)


def errors(labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Where labels differ from a truth that is known there: bool (H, W)."""
    return (labels != truth) & (truth != VOID)


def _pick(chosen: Sequence[Chosen]) -> Picture | None:
    split, examples = sources.split_pictures(chosen), sources.examples(chosen)
    kinds = [kind for kind, there in ((TEST, split), (EXAMPLES, examples), (OWN, True)) if there]
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    kind = left.segmented_control("Pictures", kinds, default=kinds[0], required=True, key="kind")
    if kind == OWN:
        upload = right.file_uploader("Drop a picture", key="upload")
        return sources.from_upload(upload.getvalue()) if upload else None
    entries = {entry.title: entry for entry in (split if kind == TEST else examples)}
    chosen_title = right.selectbox(
        "Picture",
        list(entries),
        key=f"{kind} for {[model.name for model in chosen]}",
        help="Largest difference between the first two models first." if kind == TEST else None,
    )
    try:
        return entries[chosen_title].open()
    except (StudioError, OSError) as error:
        st.error(f"The picture cannot be opened. {error}")
        return None


def _controls(shown: Sequence[Chosen]) -> tuple[float, set[str]]:
    """The opacity in [0, 1], and the names of the classes to draw (empty: all)."""
    names = list(dict.fromkeys(n for m in shown for n in m.checkpoint.classes.names))
    left, right = st.columns([2, 3])
    covered = left.slider(
        "Opacity", 0, 100, round(100 * OPACITY), step=5, format="%d %%", key="opacity"
    )
    only = right.multiselect(
        "Only these classes",
        names,
        placeholder="All classes",
        key=f"only {shown[0].checkpoint.data_name}",
    )
    return covered / 100, set(only)


def _overlays(image, size: str, shown, results, opacity, only) -> None:
    first, *others = st.columns(1 + len(shown))
    with first:
        _panel("Picture", image, note=size)
    for column, model in zip(others, shown, strict=True):
        result = results[model.name]
        classes = model.checkpoint.classes
        ids = {c.id for c in classes if not only or c.name in only}
        with column:
            note = f"seen at {model.checkpoint.preprocessing.longest_side} pixels"
            if result.mean_iou is not None:
                note = f"{percent(result.mean_iou)} mean IoU"
            _panel(
                model.title,
                overlay(image, result.labels, classes, opacity, ids),
                colour=model.colour,
                note=note,
            )


def _errors(image, truth, shown, results, opacity, only) -> None:
    truth = reduce_labels(truth, PANEL_SIDE)
    classes = shown[0].checkpoint.classes
    ids = {c.id for c in classes if not only or c.name in only}
    first, *others = st.columns(1 + len(shown))
    with first:
        _panel("Truth", overlay(image, truth, classes, opacity, ids), note="what was to be found")
    for column, model in zip(others, shown, strict=True):
        wrong = errors(results[model.name].labels, truth)
        with column:
            _panel(
                "Errors",
                _marked(image, wrong),
                colour=model.colour,
                note=f"{percent(wrong.mean())} of pixels",
                about=f"Pixels that {model.title} gets wrong",
            )


def _disagreement(image, shown, results, same_classes: bool) -> None:
    first, rest = st.columns([1, len(shown)])
    if len(shown) > 1 and same_classes:
        differ = difference([results[model.name].labels for model in shown])
        with first:
            _panel(
                "Disagreement",
                _marked(image, differ),
                note=f"{percent(differ.mean())} of pixels",
                about="Pixels on which the models disagree",
            )
    rest.html(shares_table(shown, [results[model.name].shares for model in shown]))


def shares_table(shown: Sequence[Chosen], shares: Sequence[np.ndarray]) -> str:
    """HTML legend: the classes that occur, their colour, and their share for each model."""
    rows: dict[tuple[str, str], dict[str, float]] = {}
    for model, share in zip(shown, shares, strict=True):
        for info in model.checkpoint.classes:
            if share[info.id] > 0:
                rows.setdefault((info.name, info.colour), {})[model.name] = share[info.id]
    heads = "".join(
        f'<th><span class="dot" style="background: {m.colour}"></span>{escape(m.title)}</th>'
        for m in shown
    )
    body = "".join(
        f'<tr><th><span class="swatch" style="background: {escape(colour)}"></span>'
        f"{escape(name)}</th>"
        + "".join(
            f"<td>{escape(share_text(row[m.name])) if m.name in row else NOTHING}</td>"
            for m in shown
        )
        + "</tr>"
        for (name, colour), row in sorted(rows.items(), key=lambda item: -max(item[1].values()))
    )
    return (
        '<div class="scroll"><table class="shares">'
        f"<thead><tr><th>Share of the picture</th>{heads}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )


def _protocol(picture: Picture, shown, results) -> None:
    runs = "; ".join(
        f"{model.name} sees it at {model.checkpoint.preprocessing.longest_side} pixels "
        f"({results[model.name].engine})"
        for model in shown
    )
    st.caption(f"Shown: {picture.protocol}. {runs}.")


def _panel(title: str, image: np.ndarray, *, colour="", note="", about="") -> None:
    dot = f'<span class="dot" style="background: {colour}"></span>' if colour else ""
    # The second line is there even without a note: pictures in a row start at one height.
    st.html(f'<p class="panel">{dot}{escape(title)}<small>{escape(note) or "&nbsp;"}</small></p>')
    st.image(image, width="stretch", alt=about or title)


def _marked(image: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Marks pixels over a pale grey copy of the picture. bool (H, W) -> uint8 (H, W, 3)."""
    grey = image.mean(2, keepdims=True)
    pale = (255 - (255 - grey) * 0.45).astype(np.uint8).repeat(3, 2)
    return overlay(pale, where.astype(np.uint8), MARKS, MARK_OPACITY, {1})


@st.cache_data(show_spinner=False, max_entries=16)
def _reduced(key: str, _source: bytes | np.ndarray) -> tuple[np.ndarray, str]:
    """The picture at the panels' size, uint8 (h, w, 3), and its own size in words."""
    image = _source if isinstance(_source, np.ndarray) else decode(_source)
    height, width = image.shape[:2]
    return reduce_image(image, PANEL_SIDE), f"{width} by {height} pixels"


@st.cache_data(show_spinner="Segmenting …", max_entries=128)
def _segment(key: tuple, _model: Chosen, _picture: Picture) -> Result:
    """Segments at full size and keeps what the panels need.

    Args: key: all that the result depends on: the model's version, the picture, its truth.
    """
    segmentation = models.segmenter(_model.checkpoint).segment(_picture.source)
    mean_iou = None
    if _picture.truth is not None:
        size = len(segmentation.classes)
        mean_iou = Metrics.of(confusion_matrix(_picture.truth, segmentation.labels, size)).mean_iou
    return Result(
        labels=reduce_labels(segmentation.labels, PANEL_SIDE),
        shares=segmentation.shares(),
        mean_iou=mean_iou,
        engine=f"{segmentation.engine} {segmentation.precision}",
    )
