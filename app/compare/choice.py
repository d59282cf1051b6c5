"""What is compared: a data set and two to four models on it, kept in the page's address.

`?data=pets&models=pets-scratch,runs/first` opens the page with that choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.compare import catalogue
from app.compare.catalogue import Found, Version
from model.checkpoints import zoo
from model.checkpoints.folder import Checkpoint
from model.checkpoints.titles import data_key, title, told_apart
from model.errors import CheckpointError
from model.evaluation.compare import Scored, recorded
from model.evaluation.report.candidate import MOST, Candidate, candidates

DATA, MODELS = "data", "models"
ADDED = "added models"
"""In the session: names that were typed into the field, newest last."""
LINKED = "linked models"
"""In the session: names in the address that nobody has opened here, for the field."""
TYPED = "typed model"


@dataclass(frozen=True)
class Choice:
    """What the page shows.

    Attributes:
        models: in the order they were chosen.
        others: all checkpoints of the data set, chosen or not.
        found: what they were chosen from, of all data sets.
    """

    models: list[Candidate]
    others: list[Checkpoint]
    found: Found


def choose() -> Choice:
    """Draws the choosers."""
    asked = [name for name in st.query_params.get(MODELS, "").split(",") if name]
    found = catalogue.available(_added(asked))
    if LINKED not in st.session_state:
        here = {*found.checkpoints, *found.broken}
        st.session_state[LINKED] = [
            name
            for name in asked
            if "/" in name and name not in here and not name.startswith(f"{catalogue.RUNS}/")
        ]
    if not found.checkpoints:
        if catalogue.is_local():
            _add_models()
        return Choice([], [], found)
    groups: dict[str, dict[str, Checkpoint]] = {}
    for name, checkpoint in found.checkpoints.items():
        groups.setdefault(data_key(checkpoint), {})[name] = checkpoint
    left, right = st.columns([1, 2])
    data = left.selectbox(
        "Data set",
        list(groups),
        index=_data_index(groups, st.query_params.get(DATA, ""), asked),
        format_func=lambda name: catalogue.group_title(next(iter(groups[name].values()))),
        key="data",
    )
    group = groups[data]
    called = told_apart({name: title(checkpoint) for name, checkpoint in group.items()})
    # One widget for each data set: its models are not the other's.
    key = f"models of {data}"
    _prepare(key, group, [name for name in asked if name in group][:MOST])
    names = right.multiselect(
        "Models",
        list(group),
        format_func=lambda name: called[name] + _running(group[name]),
        max_selections=MOST,
        placeholder="Choose two to four",
        wrap=True,
        key=key,
    )
    # With those that still wait for a click, so that they survive a reload.
    kept = dict.fromkeys([*names, *st.session_state[LINKED]])
    st.query_params.update({DATA: data, MODELS: ",".join(kept)})
    if catalogue.is_local():
        _add_models()
    return Choice(scored(found, names), list(group.values()), found)


def scored(found: Found, names: list[str]) -> list[Candidate]:
    """The models of these names with their scores, which are remembered until a file changes."""
    chosen = {name: found.checkpoints[name] for name in names}
    scores = {name: _recorded(found.versions[name], c) for name, c in chosen.items()}
    return candidates(chosen, scores)


def preselected(group: dict[str, Checkpoint]) -> list[str]:
    """Names of the best model from scratch and the best pretrained one, by mean IoU on the test
    split; where all started alike, those of the best two, in the group's order."""
    best_first = sorted(group, key=lambda name: -_mean_iou(group[name]))
    by_start: dict[bool, str] = {}
    for name in best_first:
        by_start.setdefault(group[name].is_pretrained, name)
    if len(by_start) == 2:
        return [by_start[False], by_start[True]]
    return [name for name in group if name in best_first[:2]]


def is_unfinished(checkpoint: Checkpoint) -> bool:
    """Training, or stopped before its end: it has not been scored."""
    return not checkpoint.metrics and bool(checkpoint.description.get("training"))


def progress_text(checkpoint: Checkpoint) -> str:
    """How far an unfinished run is: "epoch 7 of 60"."""
    training = checkpoint.description.get("training", {})
    done, planned = training.get("epochs_done", 0), training.get("epochs", "?")
    return f"epoch {done} of {planned}"


@st.cache_resource(show_spinner=False, max_entries=64)
def _recorded(version: Version, _checkpoint: Checkpoint) -> Scored | None:
    return recorded(_checkpoint)


def _mean_iou(checkpoint: Checkpoint) -> float:
    """On the test split; -1 for a checkpoint without figures."""
    figures = checkpoint.figures("test")
    return figures["mean_iou"] if figures else -1.0


def _running(checkpoint: Checkpoint) -> str:
    return f" · {progress_text(checkpoint)}" if is_unfinished(checkpoint) else ""


@st.cache_resource(show_spinner=False)
def _opened() -> set[str]:
    """Names that whoever sits here has added by a click since the start, in any session."""
    return set()


def _added(asked: list[str]) -> list[str]:
    """What was typed into the field, and names in the address that were typed there before."""
    if not catalogue.is_local():
        return []
    known = [name for name in asked if name in _opened()]
    return st.session_state.setdefault(ADDED, known)


def _add_models() -> None:
    # A link may come from anybody: a folder or a model on the Hub that it names is opened, and
    # fetched, only by a click of who sits here.
    linked: list[str] = st.session_state[LINKED]
    if linked and not st.session_state.get(TYPED):
        st.session_state[TYPED] = linked[0]
    title = "Another model: a folder, or one on the Hugging Face Hub"
    with (
        st.expander(title, expanded=bool(linked)),
        st.form("add model", border=False, clear_on_submit=True),
    ):
        left, right = st.columns([4, 1], vertical_alignment="bottom")
        typed = left.text_input(
            "Folder or owner/name",
            placeholder="/home/me/runs/first, or owner/name@revision",
            key=TYPED,
        )
        if right.form_submit_button("Add", width="stretch") and typed.strip():
            del linked[:1]  # it stood in the field, and was taken or not
            _add(typed.strip())


def _add(name: str) -> None:
    """Adds a model to the list and to the choice, or says why not."""
    if "/" not in name:
        st.error(f"'{name}' is neither a folder's path nor owner/name: both have a slash.")
        return
    try:
        with st.spinner("Opening …"):
            found = {name: zoo.find(name)}
    except CheckpointError as error:
        st.error(str(error))
        return
    _opened().add(name)
    if name not in st.session_state[ADDED]:
        st.session_state[ADDED].append(name)
    data = data_key(found[name])
    key = f"models of {data}"
    if data == st.session_state.get("data"):
        # Its chooser is on the page already, and takes its value only before it is drawn.
        st.session_state["next choice"] = (key, [*st.session_state[key], name][-MOST:])
    else:
        st.query_params.update({DATA: data, MODELS: name})
        st.session_state.pop("data", None)
    st.session_state.pop(TYPED, None)  # the next one of a link comes into the field
    st.rerun()


def _prepare(key: str, group: dict[str, Checkpoint], asked: list[str]) -> None:
    """Before the chooser is drawn: its first choice, a model just added, none that is gone."""
    awaited, names = st.session_state.pop("next choice", (None, None))
    if awaited != key:
        names = st.session_state.get(key, asked or preselected(group))
    st.session_state[key] = [name for name in names if name in group]


def _data_index(groups: dict[str, dict], asked: str, models: list[str]) -> int:
    """The asked data set, that of an asked model, the first with something to compare."""
    names = list(groups)
    if asked in groups:
        return names.index(asked)
    for i, name in enumerate(names):
        if groups[name].keys() & set(models):
            return i
    return next((i for i, name in enumerate(names) if len(groups[name]) > 1), 0)
