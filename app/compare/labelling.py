"""What should be labelled next: the pictures on which the models disagree most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from app.compare import sources
from app.compare.catalogue import is_local
from app.compare.picking import picked
from app.compare.predictions import disagreements
from app.compare.sources import Entry, Picture
from app.limits import MOST_FILES
from model.checkpoints import zoo
from model.errors import ImageError
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.table import Column, Table

RANKING = "ranking"
"""In the session: the ranked pictures, and the models that ranked them."""

DROPPED = "unlabelled files"
"""In the session: the uploader's files."""


@dataclass(frozen=True)
class Ranked:
    """A picture in the ranking.

    Attributes:
        share: of its pixels on which the models differ, in [0, 1].
        file_id: the uploader's, None of a file in a folder.
    """

    share: float
    entry: Entry
    file_id: str | None


def next_to_label(models: Sequence[Candidate]) -> Picture | None:
    """Draws the form, the ranking, and returns the picture that is picked.

    Raises: `StudioError` if that one cannot be opened.
    """
    st.markdown(
        "Where models disagree, at least one is wrong: a label there teaches most. Pictures "
        "without any labels are ranked by the share of their pixels on which the models differ."
    )
    with st.form("rank", border=False):
        folder = (
            st.text_input("Folder of pictures", placeholder="/home/me/unlabelled", key="unlabelled")
            if is_local()
            else ""
        )
        st.file_uploader(
            "Or drop pictures" if is_local() else "Drop pictures",
            accept_multiple_files=True,
            key=DROPPED,
        )
        asked = st.form_submit_button("Rank")
    dropped = _dropped()
    if asked and len(dropped) > MOST_FILES:
        st.error(
            f"These are {len(dropped)} pictures; at most {MOST_FILES} are ranked at once. Take "
            + ("some away, or name their folder." if is_local() else "some away.")
        )
        asked = False
    key = tuple(zoo.version(model.checkpoint.path) for model in models)
    if asked:
        entries = [Entry(file.name, partial(_opened, file_id)) for file_id, file in dropped.items()]
        if folder.strip():
            entries += sources.of_folder(Path(folder.strip()).expanduser())
        file_ids = [*dropped, *[None] * (len(entries) - len(dropped))]
        shares, failures = disagreements(models, entries, st.empty())
        ranking = [Ranked(shares[i], entries[i], file_ids[i]) for i in shares]
        ranking.sort(key=lambda one: -one.share)
        st.session_state[RANKING] = (key, ranking, failures)
    ranked_by, ranking, failures = st.session_state.get(RANKING, (None, [], []))
    if ranked_by != key:
        return None
    ranking = [one for one in ranking if one.file_id is None or one.file_id in dropped]
    for text in failures:
        st.warning(text)
    if not ranking:
        st.info("Name a folder or drop pictures, then press Rank.")
        return None
    table = Table(
        "label-next",
        "What to label next",
        [Column("Picture"), Column("Disagreement", "share")],
        [[one.entry.title, one.share] for one in ranking],
    )
    st.download_button(
        "The list as CSV", table.csv(), f"{table.key}.csv", "text/csv", on_click="ignore"
    )
    row = picked(table, f"label next of {hash(tuple(map(str, table.rows)))}")
    return ranking[row].entry.open()


def _dropped() -> dict[str, UploadedFile]:
    """The files in the uploader by their ids."""
    files = st.session_state.get(DROPPED) or []
    return {file.file_id: file for file in files if isinstance(file, UploadedFile)}


def _opened(file_id: str) -> Picture:
    """A dropped file, read from the uploader each time: what is there counts towards the bound on
    all visitors' files, which bytes kept here would escape. Raises `ImageError` if it is gone."""
    file = _dropped().get(file_id)
    if file is None:
        raise ImageError("The picture was taken away. Drop it again.")
    return sources.upload(file.name, file.getvalue())
