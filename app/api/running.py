"""For whoever runs the server: whether it can answer, and figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app import metrics, models
from app.api.schema import Health, Queue
from model import __version__

router = APIRouter(tags=["server"])


# In the event loop: it must be answered also while all threads are taken.
@router.get("/health", summary="Whether the server can answer")
async def health() -> Health:
    """Always answered with 200; `ready` says whether pictures can be."""
    default = models.default()
    opened = models.open_models()
    queue = models.QUEUE
    return Health(
        ready=default is not None and default.name in opened and not queue.closed,
        version=__version__,
        open_models=opened,
        damaged=models.damaged(),
        queue=Queue(
            turns=queue.turns,
            running=queue.running,
            waiting=queue.waiting(),
            places=queue.places,
            refused=queue.refused,
        ),
    )


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "The text format of Prometheus.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def prometheus() -> Response:
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)
