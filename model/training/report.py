"""`report.html`: a finished run on one self-contained page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from model import writing
from model.checkpoints import folder
from model.checkpoints.card import kept_epoch
from model.checkpoints.cases import best_and_worst
from model.checkpoints.folder import Checkpoint
from model.data.datasets import DataSet
from model.data.drawing import overlay
from model.data.sheets import in_columns
from model.evaluation.metrics import Metrics
from model.inference.segmenter import Segmenter
from model.training import plots
from model.words import CLASS_FIGURES, duration, in_percent

CASES = 4
TEMPLATE = Path(__file__).with_name("report.html")


def write_report(checkpoint: Checkpoint, segmenter: Segmenter, data: DataSet) -> None:
    """Writes `report.html` and `training.png` into the folder of a scored checkpoint.

    It contains pictures only if the data set's licence allows derived works to be published.
    """
    curves = plots.curves(checkpoint.history(), checkpoint.name)
    writing.write_bytes(checkpoint.path / folder.CURVES_FILE, plots.png(curves))
    cases = dict(zip(("Best", "Worst"), best_and_worst(checkpoint, CASES), strict=True))
    if not cases["Worst"]:  # of a single picture
        cases["Worst"] = cases["Best"]
    sheets = {}
    if data.publishable:
        sheets = {title: _sheet(segmenter, data, chosen) for title, chosen in cases.items()}
    writing.write_text(checkpoint.path / folder.REPORT_FILE, _page(checkpoint, cases, sheets))


def _page(checkpoint: Checkpoint, cases: dict[str, list[dict]], sheets: dict[str, str]) -> str:
    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = in_percent
    description = checkpoint.description
    parts = ("validation", "test")
    splits = {part: figures for part in parts if (figures := checkpoint.figures(part))}
    metrics = Metrics.of(np.array(splits["test"]["confusion_matrix"]))
    encoder = description["encoder"]
    best, worst = (
        ", ".join(f"{row['name']} ({in_percent(float(row['mean_iou']))} %)" for row in chosen)
        for chosen in cases.values()
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        name=checkpoint.name,
        network=description["network"],
        data=description["data"],
        training=description["training"],
        versions=description["versions"],
        encoder=f"{encoder['name']}, from {encoder['origin']}" if encoder["name"] else "none",
        kept=kept_epoch(description["training"]),
        minutes=duration(description["training"]["seconds"]),
        splits=splits,
        curves=Markup(plots.svg(plots.curves(checkpoint.history()))),
        bars=Markup(plots.svg(plots.class_bars(checkpoint.classes, metrics))),
        confusion=Markup(plots.svg(plots.confusion(checkpoint.classes, metrics.matrix))),
        classes=[
            {
                "name": info.name,
                "colour": info.colour,
                "share": metrics.support[info.id] / max(1, metrics.support.sum()),
                "figures": [getattr(metrics, figure)[info.id] for figure in CLASS_FIGURES],
            }
            for info in checkpoint.classes
        ],
        sheets=sheets,
        best=best,
        worst=worst,
    )


def _sheet(segmenter: Segmenter, data: DataSet, rows: list[dict]) -> str:
    """Pictures with truth and prediction, as a JPEG file in base64: for viewing only."""
    drawn = []
    for row in rows:
        image, truth = data.pair(row["name"])
        predicted = segmenter.segment(image).labels
        label = f"{row['name']}: mean IoU {in_percent(float(row['mean_iou']))} %"
        overlays = [overlay(image, labels, data.classes) for labels in (truth, predicted)]
        drawn.append((label, [image, *overlays]))
    buffer = io.BytesIO()
    sheet = in_columns(drawn, ("picture", "truth", "predicted"))
    sheet.save(buffer, "JPEG", quality=85)
    return base64.b64encode(buffer.getvalue()).decode()
