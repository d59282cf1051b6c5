"""On a picture: choose one of the test split, an example, one's own, or what to label next."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import streamlit as st

from app.compare import sources
from app.compare.catalogue import is_local, said
from app.compare.labelling import next_to_label
from app.compare.panels import panels
from app.compare.picking import picked
from app.compare.predictions import Prediction, disagreements, predict, reduced
from app.compare.sources import Entry, Picture
from model.checkpoints import zoo
from model.data.datasets import DATA_ROOT_VARIABLE, DataSet, UserFolder
from model.errors import StudioError
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.table import Table
from model.evaluation.report.tables import picture_table

TEST, EXAMPLES, OWN, NEXT = "Test pictures", "Examples", "Your own", "What to label next"

DIFFERENCE, DISAGREEMENT = "Largest difference", "Most disagreement"
MEASURED = "disagreement on the split"
"""In the session: shares by picture, by the models and the data set they are of."""


@st.fragment
def picture_section(models: Sequence[Candidate]) -> None:
    """Draws the section. A fragment: another picture redraws nothing else."""
    st.header("On a picture")
    data, reason = _split(models)
    has_scores = any(model.scored and len(model.scored.pictures) for model in models)
    kinds = [TEST] if data or has_scores else []
    kinds += [EXAMPLES, OWN]
    kinds += [NEXT] if len(models) > 1 and same_classes(models) else []
    kind = st.segmented_control(
        "Pictures",
        kinds,
        default=TEST if data else EXAMPLES,
        required=True,
        key="kind",
        label_visibility="collapsed",
    )
    try:
        picture = {
            TEST: lambda: _of_split(models, data, reason),
            EXAMPLES: lambda: _example(models),
            OWN: _own,
            NEXT: lambda: next_to_label(models),
        }[kind]()
    except (StudioError, OSError) as error:
        st.error(f"The picture cannot be opened. {said(error)}")
        return
    if picture is not None:
        _show(picture, models)


def same_classes(models: Sequence[Candidate]) -> bool:
    """Whether equal numbers mean the same class to all models."""
    return len({tuple(model.checkpoint.classes.names) for model in models}) == 1


def _split(models: Sequence[Candidate]) -> tuple[DataSet | None, str]:
    """The test split's data set, or why it cannot be had."""
    if not same_classes(models):
        return None, "The models know different classes."
    try:
        data = sources.scored_split(models, st.session_state.get("data folder", "").strip())
    except StudioError as error:
        return None, said(error)
    return data, "" if data else "The data set on this machine is another one, or split otherwise."


def _of_split(models: Sequence[Candidate], data: DataSet | None, reason: str) -> Picture | None:
    table = _table(models, data)
    orders = _orders(table)
    if data and len(models) > 1:
        orders[DISAGREEMENT] = None
    order = st.selectbox("Order", list(orders), key=f"order of {len(orders)}") if orders else None
    if order == DISAGREEMENT:
        shares = _disagreement_of_all(models, data)
        table = _table(models, data, shares)
        place = len(table.columns) - 1
        orders[order] = (lambda row: -(row[place] or 0)) if shares else None
    if order and orders[order]:
        table = replace(table, rows=sorted(table.rows, key=orders[order]))
    names = ",".join(model.name for model in models)
    row = picked(table, f"test pictures of {names} by {order} of {len(table.columns)}")
    if table.note:
        st.caption(table.note)
    if data is None:
        st.info(
            f"The pictures themselves are not here. {reason} With the data set at hand, they are "
            "shown with truth, errors and disagreement."
        )
        _ask_for_folder(models)
        return None
    return sources.of_split(data, table.rows[row][0])


def _table(
    models: Sequence[Candidate], data: DataSet | None, shares: Mapping[str, float] | None = None
) -> Table:
    """The test pictures: those with scores, else, before anybody has any, those of the data.

    Args: shares: by picture that of pixels on which the models differ, as far as measured.
    """
    table = picture_table(models, shares)
    if table.rows or data is None:
        return table
    names = data.names("test")
    rows = [[name, shares.get(name)] if shares else [name] for name in names]
    return replace(table, rows=rows, note="")


def _orders(table: Table) -> dict[str, Callable[[list], float] | None]:
    """Keys to sort the rows by, by what the order is called; unknown figures come last."""

    def known(value: float | None, key: Callable[[float], float]) -> float:
        return float("inf") if value is None else key(value)

    orders: dict[str, Callable[[list], float] | None] = {}
    for i, column in enumerate(table.columns):
        if column.kind == "points":
            orders[DIFFERENCE] = lambda row, i=i: known(row[i], lambda value: -abs(value))
    for i, column in enumerate(table.columns):
        if column.kind == "share":
            orders[f"Lowest score of {column.title}"] = lambda row, i=i: known(row[i], float)
            orders[f"Highest score of {column.title}"] = lambda row, i=i: known(
                row[i], lambda value: -value
            )
    return orders


def _disagreement_of_all(models: Sequence[Candidate], data: DataSet) -> dict[str, float]:
    """By picture the share of pixels on which the models differ, of those measured so far."""
    key = (data.name, os.environ.get(DATA_ROOT_VARIABLE), st.session_state.get("data folder"))
    key += tuple(zoo.version(model.checkpoint.path) for model in models)
    known = st.session_state.setdefault(MEASURED, {}).setdefault(key, {})
    missing = [name for name in data.names("test") if name not in known]
    place = st.empty()
    which = f"the other {len(missing)}" if known else f"all {len(missing)} pictures"
    if missing and place.button(f"Segment {which} with each model", key="measure disagreement"):
        entries = [Entry(name, partial(sources.of_split, data, name)) for name in missing]
        shares, failures = disagreements(models, entries, place)
        known |= {missing[i]: share for i, share in shares.items()}
        for text in failures:
            st.warning(text)
    return known


def _ask_for_folder(models: Sequence[Candidate]) -> None:
    if not is_local():
        return
    own = models[0].protocol.data == UserFolder.name
    st.text_input(
        "Folder with the data set" if own else "Folder that the data sets are in",
        key="data folder",
        placeholder="/home/me/data",
    )


def _example(models: Sequence[Candidate]) -> Picture:
    entries = {entry.title: entry for entry in sources.examples(models)}
    return entries[st.selectbox("Picture", list(entries), key=f"example of {len(entries)}")].open()


def _own() -> Picture | None:
    file = st.file_uploader("Drop a picture", key="upload")
    return sources.upload(Path(file.name).name, file.getvalue()) if file else None


def _show(picture: Picture, models: Sequence[Candidate]) -> None:
    if not same_classes(models):
        picture = replace(picture, truth=None)  # it is in the classes of one of them
    try:
        image, size = reduced(picture)
    except StudioError as error:
        st.error(said(error))
        return
    seen: list[tuple[Candidate, Prediction]] = []
    for model in models:
        try:
            seen.append((model, predict(model, picture)))
        except (StudioError, OSError) as error:  # OSError: its folder was deleted just now
            st.error(f"{model.title} cannot be opened. {said(error)}")
    if not seen:
        return
    shown, predictions = zip(*seen, strict=True)
    panels(picture, image, size, shown, predictions)
    engines = ", ".join(f"{m.title} by {p.engine}" for m, p in seen)
    scores = (
        " Scores are of this picture alone, over the classes that occur in it."
        if picture.truth is not None
        else ""
    )
    st.caption(f"Shown: {picture.protocol}. Segmented now: {engines}.{scores}")
