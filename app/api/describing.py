"""The models and all that is known of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from app import models
from app.api.problems import PROBLEMS
from app.api.schema import (
    ClassEntry,
    ClassFigures,
    Figures,
    ModelDetail,
    ModelEntry,
    ModelList,
    SplitFigures,
)
from model.checkpoints.folder import Checkpoint
from model.words import CLASS_FIGURES

router = APIRouter(tags=["models"])


@router.get("/models", summary="The models that can be named")
def list_models() -> ModelList:
    default = models.default()
    return ModelList(models=[_entry(c, default=c == default) for c in models.catalogue()])


@router.get(
    "/models/{name:path}",  # a name may be that of a model on the Hub, owner/name
    summary="All that is known of a model",
    responses={code: PROBLEMS[code] for code in (404, 422, 503)},
)
def describe_model(
    name: Annotated[str, Path(max_length=200, examples=["pets-mobilenet"])],
) -> ModelDetail:
    """Classes, figures of every split and precision, training data and licence."""
    checkpoint = models.find(name)
    training = checkpoint.description.get("training", {})
    return ModelDetail(
        **_entry(checkpoint, default=checkpoint == models.default()).model_dump(),
        splits=_splits(checkpoint),
        epochs=training.get("epochs_done"),
        open=checkpoint.name in models.POOL.open_models(),
    )


def _entry(checkpoint: Checkpoint, *, default: bool) -> ModelEntry:
    description = checkpoint.description
    data, encoder = description.get("data", {}), description.get("encoder", {})
    return ModelEntry(
        name=checkpoint.name,
        title=models.label(checkpoint),
        default=default,
        data=checkpoint.data_name,
        network=checkpoint.network_name,
        parameters=description.get("network", {}).get("parameters"),
        encoder=encoder.get("origin") if checkpoint.is_pretrained else None,
        classes=[ClassEntry(id=c.id, name=c.name, colour=c.colour) for c in checkpoint.classes],
        figures=_figures(checkpoint, "test", "f32"),
        prices=checkpoint.prices(),
        licence=data.get("licence"),
        source=data.get("source"),
    )


def _figures(checkpoint: Checkpoint, split: str, precision: str) -> Figures | None:
    result = checkpoint.figures(split, precision)
    if result is None:
        return None
    return Figures(
        mean_iou=result["mean_iou"],
        mean_dice=result["mean_dice"],
        accuracy=result["accuracy"],
        pictures=result["num_images"],
        split=split,
        resolution=result.get("resolution", "unknown"),
        precision=precision,
    )


def _splits(checkpoint: Checkpoint) -> list[SplitFigures]:
    """Every split and precision that `metrics.json` has figures of."""
    found = []
    for split, precisions in (checkpoint.metrics or {}).get("splits", {}).items():
        for precision in precisions:
            figures = _figures(checkpoint, split, precision)
            if figures is None:
                continue
            by_class = checkpoint.figures(split, precision).get("per_class", {})
            rows = [
                ClassFigures(
                    name=info.name,
                    pixels=_at(by_class, "support", info.id),
                    **{column: _at(by_class, column, info.id) for column in CLASS_FIGURES},
                )
                for info in checkpoint.classes
            ]
            found.append(SplitFigures(**figures.model_dump(), classes=rows))
    return found


def _at(columns: dict[str, list], column: str, index: int) -> Any:
    values = columns.get(column, [])
    return values[index] if index < len(values) else None
