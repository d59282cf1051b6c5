"""What should be labelled next: the pictures on which the models disagree most."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import streamlit as st

from app.compare import sources
from app.compare.catalogue import is_local, weights_version
from app.compare.picking import picked
from app.compare.predictions import disagreements
from app.compare.sources import Entry, Picture
from model.evaluation.report.candidate import Candidate
from model.evaluation.report.table import Column, Table

RANKING = "ranking"
"""In the session: the ranked pictures, and the models that ranked them."""


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
        files = st.file_uploader(
            "Or drop pictures" if is_local() else "Drop pictures",
            accept_multiple_files=True,
            key="unlabelled files",
        )
        asked = st.form_submit_button("Rank")
    key = tuple(weights_version(model.checkpoint) for model in models)
    if asked:
        entries = [
            Entry(file.name, partial(sources.upload, file.name, file.getvalue())) for file in files
        ]
        if folder.strip():
            entries += sources.of_folder(Path(folder.strip()).expanduser())
        shares, failures = disagreements(models, entries, st.empty())
        ranking = [(shares[i], entry) for i, entry in enumerate(entries) if i in shares]
        st.session_state[RANKING] = (key, sorted(ranking, key=lambda pair: -pair[0]), failures)
    ranked_by, ranking, failures = st.session_state.get(RANKING, (None, [], []))
    if ranked_by != key:
        return None
    for text in failures:
        st.warning(text)
    if not ranking:
        st.info("Name a folder or drop pictures, then press Rank.")
        return None
    table = Table(
        "label-next",
        "What to label next",
        [Column("Picture"), Column("Disagreement", "share")],
        [[entry.title, share] for share, entry in ranking],
    )
    st.download_button(
        "The list as CSV", table.csv(), f"{table.key}.csv", "text/csv", on_click="ignore"
    )
    return ranking[picked(table, f"label next of {hash(tuple(map(str, table.rows)))}")][1].open()
