"""One card per model: its figures on the test split and its price."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from model.evaluation.report.candidate import Candidate
from model.evaluation.report.prices import recorded_price
from model.evaluation.report.words import NOTHING, duration, megabytes, million, percent


def tiles(models: Sequence[Candidate]) -> str:
    """HTML of the cards, side by side where there is room."""
    return f'<div class="tiles">{"".join(_tile(model) for model in models)}</div>'


def _tile(model: Candidate) -> str:
    metrics = model.metrics
    boundary = model.scored and model.scored.boundary
    figures = {
        "Mean Dice": percent(metrics and metrics.mean_dice),
        "Accuracy": percent(metrics and metrics.accuracy),
        "Boundary IoU": percent(boundary and boundary.mean_iou),
        **_price(model),
    }
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in figures.items()
    )
    return (
        f'<section class="tile" style="--model: {model.colour}">'
        f"<h3>{escape(model.title)}</h3>"
        f'<p class="big">{percent(metrics and metrics.mean_iou)}<span>mean IoU</span></p>'
        f"<table>{rows}</table>"
        f"</section>"
    )


def _price(model: Candidate) -> dict[str, str]:
    """What the model costs, as its checkpoint records it."""
    price = recorded_price(model)
    epochs = NOTHING if price.epochs is None else str(price.epochs)
    kept = model.checkpoint.description.get("training", {}).get("best_epoch")
    return {
        "Parameters": million(price.parameters),
        "File": megabytes(price.file_bytes),
        "Training": duration(price.seconds),
        "Epochs": epochs if kept is None else f"{epochs}, kept: {kept}",
        "Starts from": price.start or NOTHING,
    }
