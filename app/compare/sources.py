"""Pictures to compare on: those of the test split, examples that need no data, uploads."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import gradio.media
import numpy as np
import streamlit as st

from app.compare.choice import Chosen
from app.compare.words import points
from app.segment.examples import PHOTOGRAPHS, STREET_SEEDS, STREET_SIZE
from model.data import datasets, splits, streets
from model.data.datasets import DATA_ROOT_VARIABLE, DataSet
from model.errors import StudioError
from model.evaluation.compare import picture_scores


@dataclass(frozen=True)
class Picture:
    """A picture to segment.

    Attributes:
        key: differs for different pictures; predictions are remembered by it.
        source: what `Segmenter.segment` takes: the file's bytes, or uint8 (H, W, 3).
        truth: labels uint8 (H, W) in the models' classes, None where unknown.
        protocol: where it comes from, in words.
    """

    key: str
    source: bytes | np.ndarray
    truth: np.ndarray | None
    protocol: str


@dataclass(frozen=True)
class Entry:
    """A picture that can be picked; `open` reads or draws it and may raise `StudioError`."""

    title: str
    open: Callable[[], Picture]


def from_upload(data: bytes) -> Picture:
    """An uploaded file; it is decoded where it is segmented."""
    return Picture(hashlib.sha256(data).hexdigest(), data, None, "your own picture")


def split_pictures(chosen: Sequence[Chosen]) -> list[Entry]:
    """The test split's pictures, those first on which the first two models differ most.

    Empty if the data set is not on this machine, or is split in another way than when the
    models were trained on it: its test pictures might be ones they have learned from.
    """
    checkpoint = chosen[0].checkpoint
    try:
        data = _open(checkpoint.data_name, os.environ.get(DATA_ROOT_VARIABLE))
    except StudioError:
        return []
    recorded = checkpoint.description.get("data", {}).get("split_digest")
    if splits.digest(data.split) != recorded or data.classes.names != checkpoint.classes.names:
        return []
    gaps = _gaps(chosen[:2])
    names = sorted(data.names("test"), key=lambda name: (-abs(gaps.get(name, 0.0)), name))
    return [_test_entry(data, name, gaps.get(name), chosen) for name in names]


def examples(chosen: Sequence[Chosen]) -> list[Entry]:
    """The segment page's examples; drawn streets come with truth for models of their classes."""
    names = chosen[0].checkpoint.classes.names
    if "road" not in names:
        return [Entry(title, partial(_photograph, file)) for title, file in PHOTOGRAPHS.items()]
    known = names == streets.CLASSES.names
    return [
        Entry(f"Drawn street {number}", partial(_street, seed, with_truth=known))
        for number, seed in enumerate(STREET_SEEDS, start=1)
    ]


@st.cache_resource(show_spinner=False, max_entries=8)
def _open(name: str, root: str | None) -> DataSet:
    return datasets.load(name, root)


def _gaps(pair: Sequence[Chosen]) -> dict[str, float]:
    """First model's mean IoU minus the second's by picture; empty if either has no scores."""
    if len(pair) < 2:
        return {}
    ours, theirs = (picture_scores(model.checkpoint) for model in pair)
    return {name: ours[name] - theirs[name] for name in ours.keys() & theirs.keys()}


def _test_entry(data: DataSet, name: str, gap: float | None, chosen: Sequence[Chosen]) -> Entry:
    def read() -> Picture:
        image, truth = data.pair(name)
        return Picture(f"{data.name} {name}", image, truth, f"test picture {name} of {data.title}")

    if gap is None:
        return Entry(name, read)
    size = points(abs(gap))
    if size == "0.0":
        return Entry(f"{name} · level", read)
    ahead = chosen[0] if gap > 0 else chosen[1]
    return Entry(f"{name} · {ahead.title} ahead by {size} points", read)


def _street(seed: int, *, with_truth: bool) -> Picture:
    image, truth = streets.draw(seed, STREET_SIZE)
    return Picture(
        f"street {streets.VERSION} {seed}",
        image,
        truth if with_truth else None,
        f"a street drawn from seed {seed}, in no split",
    )


def _photograph(file: str) -> Picture:
    with open(gradio.media.get_image(file), "rb") as stream:
        data = stream.read()
    return Picture(hashlib.sha256(data).hexdigest(), data, None, f"gradio's example {file}")
