"""What visitors send: kept within a bound, and never fetched for them from elsewhere."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import anyio.to_thread
import gradio as gr
from gradio import route_utils
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.bodies import LimitedBody
from app.limits import COMPARED_BYTES, FORM_BYTES, MESSAGE_BYTES, UPLOAD_BYTES, UPLOADS_BYTES

# What Gradio offers besides takes no part in the queue: it would hand recordings to ffmpeg, read
# the forms of a login that we do not have, or edit the page's source.
_SENT_TO_GRADIO = re.compile(r"/gradio_api/(queue/join|run|call|api|cancel|reset|mcp)(/.*)?")

NOTHING_FETCHED = "This server fetches nothing from other addresses."


def trim(folder: Path, most_bytes: int = UPLOADS_BYTES) -> None:
    """Deletes the oldest files below `folder` until the rest takes at most `most_bytes`. Hidden
    ones, and those in hidden folders, are being made and stay."""
    found = sorted(
        (status.st_mtime_ns, status.st_size, path)
        for path, status in _files_below(folder)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    excess = sum(size for _, size, _ in found) - most_bytes
    for _, size, path in found:
        if excess <= 0:
            return
        path.unlink(missing_ok=True)
        excess -= size


def size_of(folder: Path) -> int:
    """Bytes of all files below it."""
    return sum(status.st_size for _, status in _files_below(folder))


def _files_below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    # What is listed may be deleted, or get its name, before it is looked at; `rglob` would stop at
    # a folder that is gone.
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                path = Path(root, name)
                yield path, path.stat()


class Refused(gr.Error):
    """An error whose text is for the caller of Gradio's API."""

    def __init__(self, text: str) -> None:
        super().__init__(text, print_exception=False)

    def __str__(self) -> str:
        return self.message


class LimitedRequests:
    """ASGI middleware that refuses what is too large or too slow: messages to Gradio, which reads
    them whole, uploads, which it writes to disk, and those of Streamlit, which keeps them in
    memory. What is sent anywhere else is not found, but for the API, which has its own limits."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.messages = LimitedBody(app, MESSAGE_BYTES)
        self.uploads = LimitedBody(app, UPLOAD_BYTES, total=UPLOADS_BYTES)
        self.compared = LimitedBody(app, FORM_BYTES, total=COMPARED_BYTES, kept=kept_by_streamlit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._limited(scope)(scope, receive, send)

    def _limited(self, scope: Scope) -> ASGIApp:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return self.app
        path = _own_path(scope)
        if path.startswith("/api/"):
            return self.app
        if _is_gradio_upload(scope):
            return self.uploads
        if path.startswith("/compare/"):
            return self.compared if "/_stcore/upload_file/" in path else self.messages
        if _SENT_TO_GRADIO.fullmatch(path):
            return self.messages
        return PlainTextResponse("Not found.", 404)


def kept_by_streamlit() -> int:
    """Bytes of the files that visitors of the compare page have there."""
    from streamlit import runtime

    if not runtime.exists():
        return 0
    stats = runtime.get_instance().uploaded_file_mgr.get_stats()
    return sum(one.byte_length for family in stats.values() for one in family)


def _is_gradio_upload(scope: Scope) -> bool:
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    return _own_path(scope) == "/gradio_api/upload"


def _own_path(scope: Scope) -> str:
    """Without the path that a proxy serves the app below."""
    return scope["path"].removeprefix(scope.get("root_path", ""))


_written: ContextVar[list[Path]] = ContextVar("written")
"""What Gradio has written of the upload that is being received."""


def _noted_file(*arguments: Any, **options: Any) -> IO[bytes]:
    file = NamedTemporaryFile(*arguments, **options)  # noqa: SIM115, who asked for it closes it
    with contextlib.suppress(LookupError):
        _written.get().append(Path(file.name))
    return file


class BoundedUploads:
    """ASGI middleware that brings Gradio's folder back within the bound after each upload, and
    leaves nothing there of one that was broken off or refused."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        # Gradio deletes what it has written of malformed forms only.
        route_utils.NamedTemporaryFile = _noted_file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_gradio_upload(scope):
            return await self.app(scope, receive, send)
        token = _written.set(written := [])
        try:
            await self.app(scope, receive, send)
        finally:
            _written.reset(token)
            for path in written:  # whole files have got other names by now
                path.unlink(missing_ok=True)
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
