"""One card per model: its figures on the test split and its price."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from app.compare.choice import Chosen
from app.compare.words import NOTHING, duration, megabytes, million, percent


def tiles(chosen: Sequence[Chosen]) -> str:
    """HTML of the cards, side by side where there is room."""
    return f'<div class="tiles">{"".join(_tile(model) for model in chosen)}</div>'


def _tile(model: Chosen) -> str:
    metrics = model.metrics
    figures = {
        "Mean Dice": percent(metrics and metrics.mean_dice),
        "Accuracy": percent(metrics and metrics.accuracy),
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


def _price(model: Chosen) -> dict[str, str]:
    """What the model costs, as its checkpoint records it."""
    description = model.checkpoint.description
    training = description.get("training", {})
    epochs = str(training.get("epochs_done", NOTHING))
    if "best_epoch" in training:
        epochs += f", best: {training['best_epoch']}"
    try:
        size = model.checkpoint.weights_path.stat().st_size
    except OSError:
        size = None
    origin = description.get("encoder", {}).get("origin", NOTHING)
    # What an origin says in brackets is for the model card.
    start = "random weights" if origin == "none" else origin.split(" (")[0]
    return {
        "Parameters": million(description.get("network", {}).get("parameters")),
        "File": megabytes(size),
        "Training": duration(training.get("seconds")),
        "Epochs": epochs,
        "Starts from": start,
    }
