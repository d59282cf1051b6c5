"""The compare page (Streamlit, at /compare/): is pretrained better, where, and on what?

Streamlit runs this file from top to bottom at every change; what is worth remembering is
cached in the parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import streamlit as st

from app import charts, models
from app.compare import panels
from app.compare.choice import Chosen, choose
from app.compare.per_class import FIGURES, per_class
from app.compare.tiles import tiles
from app.compare.verdict import Verdict, judge
from app.compare.words import NOTHING, points
from app.look import ACCENT, ACCENT_DARK, TAGLINE, TITLE
from model.evaluation.compare import RESAMPLES

STYLE = Path(__file__).parent / "compare" / "page.css"
SCORE_TITLES = {"mean_iou": "mean IoU", "mean_dice": "mean Dice", "accuracy": "accuracy"}


def main() -> None:
    st.set_page_config(page_title=f"Compare · {TITLE}", page_icon="◐", layout="wide")
    st.html(STYLE)
    st.html(f"<style>{_colours()}</style>")
    st.html(
        f'<header class="masthead"><b>{TITLE}</b><p>{TAGLINE}</p>'
        '<nav><a href="../" target="_self">Segment a picture</a>'
        '<a href="../api/docs" target="_self">API</a></nav></header>'
    )
    catalogue = models.catalogue()
    if not catalogue:
        st.info(
            "There is no model to compare yet. Train two: "
            "`python -m model train --data streets --network unet --output weights/streets-scratch`"
        )
        _damaged()
        return
    chosen = choose(catalogue)
    verdict = _judge(tuple(model.version() for model in chosen), chosen)
    _headline(verdict)
    if chosen:
        st.html(tiles(chosen))
        _evidence(verdict)
        st.caption(_protocol(chosen))
        _learning(chosen)
        _where(chosen, verdict)
        st.header("On a picture")
        panels.picture_section(chosen)
    _damaged()


def _colours() -> str:
    """CSS of the colours that are defined in Python: the accent, and the chosen models'."""
    # Resolved where it is used, so the accent follows the page from light to dark.
    rules = [f":root {{ --accent: light-dark({ACCENT}, {ACCENT_DARK}); }}"]
    rules += [
        f'[data-tag-index="{i}"] {{ --model: {colour}; }}'
        for i, colour in enumerate(charts.MODEL_COLOURS)
    ]
    return "\n".join(rules)


@st.cache_data(show_spinner=False, max_entries=64)
def _judge(versions: tuple, _chosen: Sequence[Chosen]) -> Verdict:
    return judge(list(_chosen))


def _headline(verdict: Verdict) -> None:
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in verdict.details)
    st.html(f'<div class="verdict"><h1>{escape(verdict.headline)}</h1>{paragraphs}</div>')
    for text in verdict.warnings:
        st.warning(text)


def _evidence(verdict: Verdict) -> None:
    rows = [c for c in verdict.comparisons if c.paired is not None]
    if not rows:
        return
    with st.expander("How sure is this?"):
        st.markdown(
            "Both models saw the same pictures, so their scores are compared picture by picture. "
            f"The pictures are drawn anew with replacement {RESAMPLES:,} times (a paired "
            "bootstrap); the interval holds the mean difference in 95 % of these draws. It "
            "speaks of this choice of pictures, taken as independent, and not of another "
            "training run; frames of one drive resemble each other, and make it too narrow."
        )
        st.table(
            {
                "Ahead over all pixels": [c.leader for c in rows],
                "Against": [c.other for c in rows],
                "Score": [SCORE_TITLES[c.score] for c in rows],
                "Over all pixels, points": [points(c.pooled) for c in rows],
                "Mean per picture, points": [points(c.paired.mean) for c in rows],
                "95 % interval, points": [
                    f"{points(c.paired.low)} to {points(c.paired.high)}" for c in rows
                ],
                "Higher on": [f"{c.paired.first_ahead} of {c.paired.pictures}" for c in rows],
            },
            hide_index=True,
        )


def _protocol(chosen: Sequence[Chosen]) -> str:
    """What all figures above and below were measured on."""
    first = chosen[0].checkpoint
    data = first.description.get("data", {})
    count = data.get("split_sizes", {}).get("test", "all")
    names = ", ".join(model.name for model in chosen)
    return (
        f"Measured on {models.data_title(first)} (digest {data.get('digest', 'unknown')}), its "
        f"{count} test pictures (split {data.get('split_digest', 'unknown')}: "
        f"{data.get('split_rule', 'rule unknown')}), at the pictures' own resolution, in float32. "
        "Mean IoU and Dice come from one confusion matrix over all pixels, and are means over "
        f"the classes that occur. Checkpoints: {names}."
    )


def _learning(chosen: Sequence[Chosen]) -> None:
    st.header("Learning")
    runs = [charts.Run(model.title, model.colour, model.checkpoint.history()) for model in chosen]
    for run in runs:
        if not run.rows:
            st.info(f"{run.title} has no curves: its history.csv is missing or empty.")
    runs = [run for run in runs if run.rows]
    if not runs:
        return
    x = st.segmented_control(
        "Over",
        list(charts.X_TITLES),
        format_func={"epoch": "Epochs", "minutes": "Minutes"}.get,
        default="epoch",
        required=True,
        key="x",
        label_visibility="collapsed",
    )
    st.html(_key(runs))
    for pair in (("iou", "dice"), ("loss", "accuracy")):
        for column, figure in zip(st.columns(2, gap="medium"), pair, strict=True):
            column.altair_chart(
                charts.learning_curve(runs, figure, x),
                width="stretch",
                alt=f"{charts.FIGURE_TITLES[figure]} of {len(runs)} trainings by {x}",
            )
    st.caption(
        "Validation and training pictures at the network's resolution, averaged as each epoch "
        "went by; training figures are of augmented pictures. Loss functions may differ between "
        "trainings."
    )


def _key(runs: Sequence[charts.Run]) -> str:
    """The legend of all curves, as HTML."""
    entries = [(f'<i class="line" style="border-color: {r.colour}"></i>', r.title) for r in runs]
    entries += [
        ('<i class="line"></i>', "validation"),
        ('<i class="line dashed"></i>', "training"),
        ('<i class="mark"></i>', "best epoch, whose weights are kept"),
    ]
    return '<p class="key">' + "".join(f"<span>{m}{escape(t)}</span>" for m, t in entries) + "</p>"


def _where(chosen: Sequence[Chosen], verdict: Verdict) -> None:
    scored = [model for model in chosen if model.metrics is not None]
    if not scored or verdict.refused:
        return
    st.header("Class by class")
    figure = st.segmented_control(
        "Figure",
        list(FIGURES),
        format_func=FIGURES.get,
        default="iou",
        required=True,
        key="figure",
        label_visibility="collapsed",
    )
    table = per_class(scored, figure)
    name = FIGURES[figure]
    # With more models the table needs the page's full width.
    left, right = (
        st.columns([2, 3], gap="medium") if len(scored) < 3 else (st.container(), st.container())
    )
    left.altair_chart(
        charts.class_bars(
            table.bar_rows(), [m.title for m in scored], [m.colour for m in scored], name
        ),
        width="stretch",
        alt=f"{name} of each class, one bar per model",
    )
    # Fixed widths: the differences stay in sight beside long titles.
    per_cent = st.column_config.NumberColumn(format="%.1f %%", width=150)
    in_points = st.column_config.NumberColumn(format="%+.1f", width=110)
    with right:
        st.dataframe(
            {"Class": table.classes, "Pixels": table.shares, **table.figures, **table.differences},
            hide_index=True,
            height="content",
            placeholder=NOTHING,
            column_config={
                "Class": st.column_config.TextColumn(pinned=True, width=150),
                "Pixels": st.column_config.NumberColumn(format="%.1f %%", width="small"),
                **dict.fromkeys(table.figures, per_cent),
                **dict.fromkeys(table.differences, in_points),
            },
            alt=f"{name} of each class and model",
        )
        leader = max(scored, key=lambda m: m.metrics.mean_iou)
        st.caption(
            f"{name} over all pixels of the test split, and each class's share of them. "
            f"Differences are {leader.title} minus the other, in points. A heading sorts."
            + (f" Not in any test picture: {', '.join(table.absent)}." if table.absent else "")
        )


def _damaged() -> None:
    for name, reason in models.damaged().items():
        st.caption(f"Left out: {name}. {reason}")


if __name__ == "__main__":
    main()
