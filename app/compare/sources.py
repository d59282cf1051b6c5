"""Pictures to compare on: those of the test split, examples that need no data, one's own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gradio.media
import numpy as np
import streamlit as st

from app.segment.examples import PHOTOGRAPHS, Scenes, scenes_for
from model.data import datasets, splits
from model.data.datasets import DATA_ROOT_VARIABLE, DataSet, UserFolder
from model.data.files import pictures_in
from model.errors import ImageError
from model.evaluation.report.candidate import Candidate


@dataclass(frozen=True)
class Picture:
    """A picture to segment.

    Attributes:
        key: differs for different pictures; predictions are remembered by it.
        source: what `Segmenter.segment` takes: a path, the file's bytes, or uint8 (H, W, 3).
        truth: labels uint8 (H, W) in the models' classes, None where unknown.
        protocol: where it comes from, in words.
    """

    key: str
    source: Path | bytes | np.ndarray
    truth: np.ndarray | None
    protocol: str


@dataclass(frozen=True)
class Entry:
    """A picture that can be picked; `open` reads or draws it and may raise `StudioError`."""

    title: str
    open: Callable[[], Picture]


def scored_split(models: Sequence[Candidate], folder: str = "") -> DataSet | None:
    """The data set that the models were scored on, if it is on this machine.

    None also where it is split in another way than when they were trained on it: its test
    pictures might be ones they have learned from.

    Args: folder: where to look for it; by default where all data sets are looked for.
    Raises: `StudioError` if it cannot be opened.
    """
    protocol = models[0].protocol
    root = folder or os.environ.get(DATA_ROOT_VARIABLE)
    own = protocol.data == UserFolder.name
    if own and not root:
        return None
    data = _open(f"{protocol.data}:{root}" if own else protocol.data, None if own else root)
    if splits.digest(data.split) != protocol.split_digest:
        return None
    return data if tuple(data.classes.names) == protocol.classes else None


def of_split(data: DataSet, name: str) -> Picture:
    """A picture of the test split with its truth. Raises `StudioError` if it is gone."""
    image, truth = data.pair(name)
    key = hashlib.sha256(image)
    key.update(truth)
    return Picture(key.hexdigest(), image, truth, f"test picture {name} of {data.title}")


def upload(name: str, data: bytes) -> Picture:
    """An uploaded file; it is decoded where it is segmented."""
    return Picture(hashlib.sha256(data).hexdigest(), data, None, f"your own picture {name}")


def examples(models: Sequence[Candidate]) -> list[Entry]:
    """The segment page's examples; drawn streets come with truth for models of their classes."""
    names = models[0].checkpoint.classes.names
    scenes = scenes_for(names)
    if scenes is None:
        return [Entry(title, partial(_photograph, file)) for title, file in PHOTOGRAPHS.items()]
    known = scenes.classes is not None and names == scenes.classes.names
    return [
        Entry(scenes.title(number), partial(_drawn, scenes, seed, with_truth=known))
        for number, seed in enumerate(scenes.seeds, start=1)
    ]


def of_folder(folder: Path) -> list[Entry]:
    """The pictures in a folder and those below it. Raises `DataError` if there are none."""
    return [Entry(name, partial(_file, path)) for name, path in pictures_in(folder).items()]


@st.cache_resource(show_spinner=False, max_entries=8)
def _open(name: str, root: str | None) -> DataSet:
    return datasets.load(name, root)


def _drawn(scenes: Scenes, seed: int, *, with_truth: bool) -> Picture:
    image, truth = scenes.draw(seed, scenes.size)
    return Picture(
        hashlib.sha256(image).hexdigest(),
        image,
        truth if with_truth else None,
        f"a {scenes.what} drawn from seed {seed}, in no split",
    )


def _photograph(file: str) -> Picture:
    data = Path(gradio.media.get_image(file)).read_bytes()
    return Picture(hashlib.sha256(data).hexdigest(), data, None, f"gradio's example {file}")


def _file(path: Path) -> Picture:
    try:
        changed = path.stat().st_mtime_ns
    except OSError as error:
        raise ImageError(f"{path.name} is gone: {error.strerror}.") from error
    return Picture(f"{path.resolve()} {changed}", path, None, f"the file {path.name}")
