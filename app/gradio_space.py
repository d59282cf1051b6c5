"""The app on a Space of the gradio SDK: the segment page and the API, started Gradio's way.

The Hub's image starts it; ZeroGPU hooks into Gradio's `launch`, which a mounted page never
calls, and starts no Space without a function that the package `spaces` has marked.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from starlette.middleware import Middleware
from starlette.routing import Mount

from app import mcp_endpoint, segment_page
from app.api.application import create_api
from app.headers import SecurityHeaders
from app.scratch import private_folder
from app.segment.appearance import page_options
from app.uploads import BoundedUploads, LimitedRequests, forbid_downloads
from model.checkpoints import hub
from model.checkpoints.hub_id import HubId
from model.checkpoints.zoo import weights_folder
from model.errors import StudioError

logger = logging.getLogger(__name__)

PORT = 7860


def main(models: Sequence[str] = (), port: int = PORT) -> None:
    """Runs until it is stopped.

    Args: models: ids on the Hub that are offered besides the checkpoints in `weights/`.
    """
    for model in models:
        _fetch(HubId.parse(model))
    mark_for_zero_gpu()
    forbid_downloads()
    mcp_endpoint.install()
    with private_folder() as folder:
        segment_page.SegmentPage(folder).blocks.launch(
            server_name="0.0.0.0",
            server_port=port,
            max_threads=segment_page.MOST_EVENTS,
            # First in the list, before Gradio's own routes, which take every path.
            app_kwargs={
                "routes": [Mount("/api", create_api())],
                "middleware": [
                    Middleware(SecurityHeaders),
                    Middleware(LimitedRequests),
                    Middleware(BoundedUploads),
                ],
            },
            **page_options(),
            css='a[href^="compare/"] { display: none }',  # that page is not here
        )


def _fetch(hub_id: HubId) -> None:
    """Puts a checkpoint into `weights/`; one that cannot be had leaves the others offered."""
    try:
        hub.copy_to(hub.pull(hub_id), weights_folder() / hub_id.short_name)
    except StudioError as error:
        logger.error("%s is not offered: %s", hub_id, error)


def mark_for_zero_gpu() -> bool:
    """Marks a function for `spaces`, where it is installed. Returns whether it is.

    Not the one that segments: each call of a marked function takes a GPU, of which a visitor has
    some minutes a day, and the engines compute on the processor.
    """
    try:
        import spaces
    except ImportError:
        return False
    spaces.GPU(_no_gpu_is_needed)
    return True


def _no_gpu_is_needed() -> None:
    """Is never called."""
