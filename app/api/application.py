"""The API as an application of its own."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from app import limits, metrics
from app.api import describing, running, segmenting
from app.api.problems import answer_problems
from app.bodies import LimitedBody
from app.look import TAGLINE, TITLE
from model import __version__


def create_api() -> FastAPI:
    """To be mounted at /api."""
    api = FastAPIOffline(  # whose pages need no network
        title=f"{TITLE} API",
        summary=TAGLINE,
        version=__version__,
        description="Send a picture, get its segmentation. Pictures are not kept, and none is "
        "fetched from an address. Pages: [segment pictures](../), [compare models](../compare/).",
        redoc_url=None,
        openapi_tags=[
            {"name": "segment", "description": "Pictures in, masks out."},
            {"name": "models", "description": "What they were trained on and how good they are."},
            {"name": "server", "description": "For whoever runs it."},
        ],
    )
    api.add_middleware(LimitedBody, limit=limits.FORM_BYTES)
    api.add_middleware(metrics.Counted)
    for part in (segmenting, describing, running):
        api.include_router(part.router)
    answer_problems(api)
    return api
