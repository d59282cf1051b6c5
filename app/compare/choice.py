"""What is compared: a data set and two to four of its checkpoints, kept in the page's address.

`?data=pets&models=pets-scratch,pets-mobilenet` opens the page with that choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app import models
from app.charts import MODEL_COLOURS
from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.evaluation.compare import split_metrics
from model.evaluation.metrics import Metrics

MOST = len(MODEL_COLOURS)
DATA, MODELS = "data", "models"


@dataclass(frozen=True)
class Chosen:
    """A checkpoint on the page.

    Attributes:
        title: its name in words, different from all others of the data set.
        colour: `#rrggbb`, the same in tiles, curves and bars.
        metrics: its figures on the test split, None if it has none (yet).
    """

    checkpoint: Checkpoint
    title: str
    colour: str
    metrics: Metrics | None

    @property
    def name(self) -> str:
        return self.checkpoint.name

    def version(self) -> tuple[str, ...]:
        """Changes when any of the files that the page draws from changes: a key for caches."""
        files = (folder.WEIGHTS_FILE, folder.METRICS_FILE, folder.PER_IMAGE_FILE)
        return str(self.checkpoint.path), *(_stamp(self.checkpoint.path / f) for f in files)


def choose(catalogue: list[Checkpoint]) -> list[Chosen]:
    """Draws the two choosers and returns the chosen models in the order they were chosen."""
    groups: dict[str, list[Checkpoint]] = {}
    for checkpoint in catalogue:
        groups.setdefault(checkpoint.data_name, []).append(checkpoint)
    asked = st.query_params.get(MODELS, "").split(",")
    left, right = st.columns([1, 2])
    data = left.selectbox(
        "Data set",
        list(groups),
        index=_data_index(groups, st.query_params.get(DATA, "")),
        format_func=lambda name: models.data_title(groups[name][0]),
        key="data",
    )
    group = {checkpoint.name: checkpoint for checkpoint in groups[data]}
    titles = models.titles(groups[data])
    names = right.multiselect(
        "Models",
        list(group),
        default=[name for name in asked if name in group][:MOST] or preselected(groups[data]),
        format_func=titles.get,
        max_selections=MOST,
        placeholder="Choose two to four",
        wrap=True,
        # One widget for each data set: its models are not the other's.
        key=f"models of {data}",
    )
    st.query_params.update({DATA: data, MODELS: ",".join(names)})
    return [
        Chosen(group[name], titles[name], colour, split_metrics(group[name]))
        for name, colour in zip(names, MODEL_COLOURS, strict=False)
    ]


def preselected(group: list[Checkpoint]) -> list[str]:
    """Names of the first model from scratch and the first pretrained one, else the first two."""
    by_start: dict[bool, str] = {}
    for checkpoint in group:
        by_start.setdefault(is_pretrained(checkpoint), checkpoint.name)
    if len(by_start) == 2:
        return [by_start[False], by_start[True]]
    return [checkpoint.name for checkpoint in group[:2]]


def is_pretrained(checkpoint: Checkpoint) -> bool:
    return bool(checkpoint.description.get("encoder", {}).get("pretrained"))


def _data_index(groups: dict[str, list[Checkpoint]], asked: str) -> int:
    """The asked data set, else the first with something to compare, else the first."""
    names = list(groups)
    if asked in groups:
        return names.index(asked)
    return next((i for i, name in enumerate(names) if len(groups[name]) > 1), 0)


def _stamp(path) -> str:
    try:
        return str(path.stat().st_mtime_ns)
    except OSError:
        return "gone"
