"""What visitors send: kept within a bound, and never fetched for them from elsewhere."""

from __future__ import annotations

import contextlib
from pathlib import Path

import anyio.to_thread
import gradio as gr
from starlette.types import ASGIApp, Receive, Scope, Send

from app.bodies import LimitedBody
from app.limits import MESSAGE_BYTES, UPLOAD_BYTES, UPLOADS_BYTES

NOTHING_FETCHED = "This server fetches nothing from other addresses."


def trim(folder: Path, most_bytes: int = UPLOADS_BYTES) -> None:
    """Deletes the oldest files below `folder` until the rest takes at most `most_bytes`."""
    found = []
    for path in folder.rglob("*"):
        # Gradio may delete a file between its listing and this question.
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
    excess = sum(size for _, size, _ in found) - most_bytes
    for _, size, path in sorted(found):
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size


class Refused(gr.Error):
    """An error whose text is for the caller of Gradio's API."""

    def __init__(self, text: str) -> None:
        super().__init__(text, print_exception=False)

    def __str__(self) -> str:
        return self.message


class LimitedRequests:
    """ASGI middleware that refuses what is too large or too slow: messages to Gradio, which reads
    them whole, and uploads, which it writes to disk."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.messages = LimitedBody(app, MESSAGE_BYTES)
        self.uploads = LimitedBody(app, UPLOAD_BYTES, total=UPLOADS_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        to_gradio = scope.get("method") == "POST" and "/gradio_api/" in path
        if not to_gradio:
            await self.app(scope, receive, send)
        elif path.endswith("/gradio_api/upload"):
            await self.uploads(scope, receive, send)
        else:
            await self.messages(scope, receive, send)


class BoundedUploads:
    """ASGI middleware that brings Gradio's folder back within the bound after each upload."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        if scope["type"] == "http" and scope["path"].endswith("/gradio_api/upload"):
            from gradio.utils import get_upload_folder

            await anyio.to_thread.run_sync(trim, Path(get_upload_folder()))


def forbid_downloads() -> None:
    """Makes Gradio refuse to fetch what a request names by its address.

    Gradio would stream any public address to whoever asks for `/file=https://...`, and
    download the address in a forged upload. A visitor's own browser can do that for him.
    """
    from fastapi import HTTPException
    from gradio import processing_utils, routes

    async def refuse(*_: object, **__: object) -> None:
        raise HTTPException(403, NOTHING_FETCHED)

    async def refuse_download(*_: object, **__: object) -> None:
        raise Refused(NOTHING_FETCHED)

    routes.secure_url_stream_response = refuse
    processing_utils.async_ssrf_protected_download = refuse_download
