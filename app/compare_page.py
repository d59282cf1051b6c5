"""The compare page (Streamlit, at /compare/): is pretrained better, where, and at what price?

Streamlit runs this file from top to bottom at every change; what is worth remembering is
cached in the parts.
"""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.compare.choice import Choice, choose
from app.compare.learning import learning_section
from app.compare.opening import judged, opening
from app.compare.pictures import picture_section
from app.compare.price import price_section
from app.compare.takeaway import takeaway_section
from app.compare.watch import watch
from app.compare.where import where_section
from app.look import ACCENT, ACCENT_DARK, TAGLINE, TITLE
from model.evaluation.report.candidate import MODEL_COLOURS
from model.evaluation.studies import SmallDataResult, of_kind, published

STYLE = Path(__file__).parent / "compare" / "page.css"


def main() -> None:
    st.set_page_config(page_title=f"Compare · {TITLE}", page_icon="◐", layout="wide")
    st.html(STYLE)
    st.html(f"<style>{_colours()}</style>")
    st.html(
        f'<header class="masthead"><b>{TITLE}</b><p>{TAGLINE}</p>'
        '<nav><a href="../" target="_self">Segment a picture</a>'
        '<a href="../api/docs" target="_self">API</a></nav></header>'
    )
    choice = choose()
    if choice.others:
        _sections(choice)
    else:
        st.info(
            "There is no model to compare yet. Train one, then another beside it: "
            "`python -m model train --data streets --output weights/first`"
        )
    for name, reason in choice.found.broken.items():
        st.caption(f"Left out: {name}. {reason}")
    checkpoints = {model.name: model.checkpoint for model in choice.models}
    watch(checkpoints, choice.found.fingerprint(checkpoints))


def _sections(choice: Choice) -> None:
    models = choice.models
    verdict = judged(models, choice.found.versions)
    opening(models, verdict)
    if not models:
        return
    studies, damaged = published()
    for name, reason in damaged.items():
        st.caption(f"Left out: the study {name}. {reason}")
    small_data = of_kind(SmallDataResult, studies)
    learning_section(models, small_data)
    where_section(models, verdict)
    picture_section(models)
    price_section(models)
    takeaway_section(models, verdict, small_data)


def _colours() -> str:
    """CSS of the colours that are defined in Python: the accent, and the models'."""
    # Resolved where it is used, so the accent follows the page from light to dark.
    rules = [f":root {{ --accent: light-dark({ACCENT}, {ACCENT_DARK}); }}"]
    rules += [
        f'[data-tag-index="{i}"] {{ --model: {colour}; }}' for i, colour in enumerate(MODEL_COLOURS)
    ]
    return "\n".join(rules)


if __name__ == "__main__":
    main()
