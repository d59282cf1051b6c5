"""Curves, bars and matrices of a run, drawn with matplotlib, without a display.

Figures are made without pyplot, which would keep each of them until the process ends.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from model.data.classes import ClassTable
from model.data.sheets import INK
from model.evaluation.metrics import Metrics

# Vermilion and blue of Okabe & Ito (2008), see `model.data.classes`.
TRAINING, VALIDATION = "#D55E00", "#0072B2"
FAINT = "#d5dedb"

STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",  # text stays text: small, sharp, and can be searched
    "svg.hashsalt": "unet-studio",  # the same figure gives the same file
}

PANELS = {"loss": "Loss", "iou": "Mean IoU", "dice": "Mean Dice", "accuracy": "Pixel accuracy"}
"""Columns of `history.csv`, after "train_" and "val_", and their titles."""


def curves(rows: Sequence[dict[str, float]], title: str = "") -> Figure:
    """Loss, mean IoU, mean Dice and accuracy over the epochs, and the learning rate.

    Args: rows: as `Checkpoint.history` reads them, at least one.
    """
    epochs = [row["epoch"] for row in rows]
    kept = next(row for row in rows if row["kept"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 6.4), layout="constrained")
        grid = figure.subplots(2, 3)
        for axes, (name, heading) in zip(grid.flat, PANELS.items(), strict=False):
            for part, colour, label in (
                ("train", TRAINING, "training, on augmented crops"),
                ("val", VALIDATION, "validation"),
            ):
                values = [row[f"{part}_{name}"] for row in rows]
                # A single epoch makes no line: a dot shows it.
                axes.plot(epochs, values, color=colour, label=label, marker="." * (len(rows) < 2))
            axes.plot(kept["epoch"], kept[f"val_{name}"], "o", color=VALIDATION)
            _dress(axes, heading)
        rate, legend = grid.flat[4:]
        rate.plot(epochs, [row["lr"] for row in rows], color=INK, marker="." * (len(rows) < 2))
        rate.set_ylim(0, 1.05 * max(row["lr"] for row in rows))
        rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2))
        _dress(rate, "Learning rate after the epoch")
        legend.axis("off")
        legend.legend(*grid.flat[0].get_legend_handles_labels(), loc="upper left", frameon=False)
        legend.text(
            0.02, 0.6, f"Dot: epoch {kept['epoch']:.0f}, the one that is kept",
            transform=legend.transAxes,
        )  # fmt: skip
        figure.suptitle(title)
    return figure


def class_bars(classes: ClassTable, metrics: Metrics) -> Figure:
    """IoU, precision and recall of each class that occurs, the most frequent first."""
    order = [i for i in np.argsort(-metrics.support, kind="stable") if not np.isnan(metrics.iou[i])]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 0.8 + 0.3 * len(order)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(order))
        colours = [classes[int(i)].colour for i in order]
        axes.barh(places, 100 * metrics.iou[order], color=colours, edgecolor="#777", linewidth=0.5)
        marks = (("|", "precision", metrics.precision), ("x", "recall", metrics.recall))
        for mark, label, values in marks:
            axes.plot(100 * values[order], places, mark, color=INK, label=label, markersize=6)
        for place, i in zip(places, order, strict=True):
            axes.text(101, place, f"{100 * metrics.iou[i]:.1f}", va="center")
        axes.set_yticks(places, [classes[int(i)].name for i in order])
        axes.invert_yaxis()
        axes.set_xlim(0, 108)
        axes.set_xlabel("IoU in per cent (bar and number)")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return figure


def confusion(classes: ClassTable, matrix: np.ndarray) -> Figure:
    """A confusion matrix in shares of each true class, of the classes that occur.

    Args: matrix: int (C, C), rows truth, columns prediction.
    """
    kept = np.flatnonzero(matrix.sum(0) + matrix.sum(1))
    names = [classes[int(i)].name for i in kept]
    matrix = matrix[np.ix_(kept, kept)]
    shares = matrix / np.maximum(1, matrix.sum(1, keepdims=True))
    with mpl.rc_context(STYLE):
        side = 1.8 + 0.42 * len(kept)
        figure = Figure(figsize=(side + 0.6, side), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(len(kept)), names, rotation=90)
        axes.set_yticks(range(len(kept)), names)
        axes.tick_params(length=0)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        for row, column in zip(*np.nonzero(shares >= 0.005), strict=True):
            share = shares[row, column]
            axes.text(
                column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7,
                color="white" if share > 0.6 else INK,
            )  # fmt: skip
    return figure


def png(drawing: Figure | Image.Image) -> bytes:
    """A drawing as a PNG file."""
    buffer = io.BytesIO()
    if isinstance(drawing, Figure):
        with mpl.rc_context(STYLE):
            drawing.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    else:
        drawing.save(buffer, "PNG")
    return buffer.getvalue()


def svg(figure: Figure) -> str:
    """A figure as an element for an HTML page."""
    buffer = io.StringIO()
    with mpl.rc_context(STYLE):
        # Without the date, so that the same figure gives the same file.
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _dress(axes, title: str) -> None:
    axes.set_title(title, loc="left")
    axes.set_xlabel("epoch")
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.xaxis.get_major_locator().set_params(integer=True)
