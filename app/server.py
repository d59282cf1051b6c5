"""One ASGI application on one port: Gradio at /, Streamlit at /compare/, REST at /api."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import RedirectResponse
from starlette.middleware.cors import CORSMiddleware

from app import models
from app.headers import SecurityHeaders, allowed_origins
from app.limits import most_seconds
from app.look import TITLE
from app.priority import others_step_back, step_back
from app.proxy import VisitorsAddress, checked_root_path
from app.scratch import private_folder
from model.errors import ConfigError, StudioError

logger = logging.getLogger(__name__)

COMPARE_SCRIPT = Path(__file__).parent / "compare_page.py"


def serve(
    host: str,
    port: int,
    *,
    model: str | None = None,
    show: Callable[[str], object] | None = None,
    root_path: str = "",
) -> None:
    """Runs the app until SIGINT or SIGTERM.

    Args:
        model: the checkpoint that is preselected; checked before anything else.
        show: is called in a thread of its own with the page's address.
        root_path: the path below which a proxy serves the app, see `app.proxy`.

    Raises: `ConfigError` if the address cannot be had, else what `models.preselect` raises.
    """
    import uvicorn

    from app.stopping import FinishingServer

    root_path = checked_root_path(root_path)
    allowed_origins()
    most_seconds()

    # uvicorn shuts down on SIGTERM and then raises it again; without this handler that
    # would end the process before its temporary files are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _listen(host, port) as listener, private_folder() as folder:
        if model is not None:
            models.preselect(model)
        app = create_app(folder, root_path)
        name = "localhost" if host in ("0.0.0.0", "::") else host
        home = f"http://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"
        print(
            f"{TITLE}: segment {home}/  ·  compare {home}/compare/  ·  API {home}/api/docs",
            flush=True,
        )
        if show is not None:
            # The socket listens already: who opens the address waits until the server answers.
            threading.Thread(target=show, args=(f"{home}/",), daemon=True).start()
        # Pages keep connections open as long as they are looked at: do not wait for them.
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=1, server_header=False
        )
        server = FinishingServer(config, models.QUEUE)
        # uvicorn raises the signals that ended it once more.
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            server.run(sockets=[listener])
    server.leave()


def create_app(folder: Path, root_path: str = "") -> FastAPI:
    """Builds the application.

    Args:
        folder: for temporary files: uploads, masks to download, drawn examples.
        root_path: the path below which a proxy serves the app, see `app.proxy`.
    """
    # Gradio reads these when it is imported; Streamlit reads `.streamlit/config.toml` beside
    # its script. Neither reports to its makers from here.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder / "gradio")
    import gradio as gr
    import streamlit as st
    import streamlit.logger

    from app import mcp_endpoint, segment_page
    from app.api.application import create_api
    from app.segment.appearance import page_options
    from app.uploads import BoundedUploads, LimitedRequests, forbid_downloads

    compare = st.App(COMPARE_SCRIPT)
    compare_lifespan = compare.lifespan()
    # Streamlit has now taken over uvicorn's loggers, and would report every request.
    streamlit.logger.set_log_level(logging.WARNING)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with compare_lifespan(app):
            others_step_back()
            # No daemon: the process must not end while OpenVINO compiles, which aborts it.
            threading.Thread(target=_warm_up, name="warm-up").start()
            yield

    app = FastAPI(title=TITLE, docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_middleware(BoundedUploads)
    app.add_middleware(LimitedRequests)
    # Gradio leaves this to us once we do it; by itself it would let every site in.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=allowed_origins(),
        allow_methods=["GET", "POST"],
        allow_headers=["Mcp-Protocol-Version", "X-Gradio-User"],  # what clients of Gradio send
        expose_headers=["X-Model", "X-Precision", "Server-Timing", "Retry-After"],
    )
    app.add_middleware(SecurityHeaders)
    app.add_middleware(VisitorsAddress, root_path=root_path)
    forbid_downloads()
    mcp_endpoint.install()
    app.mount("/api", create_api())
    # Relative, so that they also work below a proxy's path.
    app.get("/compare")(lambda: RedirectResponse("compare/"))
    app.get("/docs")(lambda: RedirectResponse("api/docs"))
    app.mount("/compare", compare)
    page = segment_page.SegmentPage(folder).blocks
    gr.mount_gradio_app(app, page, path="/", **page_options())
    # Only `launch` sets this. Without it Gradio does not check that a path in a request was
    # uploaded, and whoever sends one could look at any picture on this machine.
    page.has_launched = True
    return app


def _warm_up() -> None:
    """Opens the default model, so that the first visitor does not wait for it."""
    step_back()
    try:
        if (checkpoint := models.default()) is not None:
            models.segmenter(checkpoint)
    except StudioError as error:
        logger.error("The default model cannot be used: %s", error)
    # Libraries have made a million objects that stay. To look at all of them again and again for
    # some that are garbage, Python would each time hold up every thread for half a second.
    gc.freeze()


def _listen(host: str, port: int) -> socket.socket:
    try:
        if not 0 <= port < 2**16:  # getaddrinfo would take the remainder
            raise ConfigError(f"--port {port}: a port is a number from 0 to {2**16 - 1}.")
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address, family=family, backlog=128)
        # Connections inherit it. asyncio would set it only for sockets that name their protocol;
        # without it the end of an answer waits 40 ms for its beginning to be acknowledged.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise ConfigError(
            f"--host {host} --port {port} cannot be used: {error.strerror or error}. If another "
            f"program has the port, choose a free one, such as --port {port + 1}."
        ) from error
