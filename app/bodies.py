"""Request bodies: read within bounds of bytes and time, as a form or as the picture itself."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import BinaryIO

import anyio
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.limits import BODIES_BYTES, BODY_SECONDS, FORM_BYTES, MOST_FILES, base_name, safe_name
from model.data.images import MAX_BYTES
from model.errors import ConfigError, ImageTooLargeError

# It would report each malformed form, and let whoever sends them fill the log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

MOST_FIELDS = 64
SPOOLED_BYTES = 2**20
"""What of a raw body stays in memory; the rest is in a file without a name."""

RAW_TYPES = ("image/", "application/octet-stream", "application/zip", "application/x-zip")

CLOSE = {"Connection": "close"}
"""Else the server would read the refused body to its end."""


@dataclass(frozen=True)
class Sent:
    """What a request carries.

    Attributes:
        files: name, made safe, and content of each file, in their order.
        fields: the form's other fields, each with its values.
    """

    files: list[tuple[str, BinaryIO]]
    fields: dict[str, list[str]] = field(default_factory=dict)

    def one(self) -> tuple[str, BinaryIO]:
        """The only file. Raises `ConfigError` if there are more."""
        if len(self.files) > 1:
            raise ConfigError("Send one file; several go to the address ending in predict/batch.")
        return self.files[0]


class LimitedBody:
    """ASGI middleware that refuses a body as soon as it is known to be too large or too slow.

    FastAPI's own `max_body_size` answers in plain text where the length is declared.

    Args: limit: bytes of one body; total: of all that are there at a time; seconds: that the
        whole body may take to come; kept: says how many bytes earlier ones still take.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        total: int = BODIES_BYTES,
        seconds: float = BODY_SECONDS,
        kept: Callable[[], int] = lambda: 0,
    ) -> None:
        self.app = app
        self.limit = limit
        self.total = total
        self.seconds = seconds
        self.kept = kept
        self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "0")
        size = int(declared) if declared.isdecimal() else 0
        received = 0
        complete = False
        give_up = anyio.current_time() + self.seconds

        def check(count: int) -> None:
            if count > self.limit:
                # Of a form people know the picture that it holds.
                known = MAX_BYTES if self.limit == FORM_BYTES else self.limit
                raise HTTPException(
                    413,
                    f"The upload is larger than the limit of {known // 2**20} MiB.",
                    headers=CLOSE,
                )

        async def limited_receive() -> Message:
            nonlocal received, complete
            if complete:  # what comes now is that the client has gone
                return await receive()
            check(size)
            try:
                with anyio.fail_after(give_up - anyio.current_time()):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(
                    408, f"The upload took longer than {self.seconds:g} s.", headers=CLOSE
                ) from None
            come = len(message.get("body", b""))
            check(received + come)
            # What is only announced takes no place from others: it may never come.
            if self.held + self.kept() + come > self.total:
                raise HTTPException(
                    503,
                    "Too many uploads are here at the same time. Try again in 10 s.",
                    headers={**CLOSE, "Retry-After": "10"},
                )
            received += come
            self.held += come
            complete = not message.get("more_body", False)
            return message

        try:
            await self.app(scope, limited_receive, send)
        finally:
            self.held -= received


@contextlib.asynccontextmanager
async def sent(request: Request) -> AsyncIterator[Sent]:
    """What the request carries, as multipart form or as the file itself.

    Raises: `ConfigError` if there is no file; `HTTPException` 415 for other kinds of bodies,
        400 for malformed forms, and what `LimitedBody` raises.
    """
    kind, _ = parse_options_header(request.headers.get("content-type", ""))
    kind = kind.decode("latin-1").lower()
    if kind == "multipart/form-data":
        form = await _form(request)
        try:
            files, fields = [], {}
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    files.append((safe_name(value.filename), value.file))
                elif name in ("file", "files"):
                    raise ConfigError(
                        f"The field '{name}' is text: send a file in it, as multipart/form-data."
                    )
                else:
                    fields.setdefault(name, []).append(value)
            if not files:
                raise ConfigError(
                    "The field 'file' is missing: send multipart/form-data with it, or the picture "
                    "itself as the body."
                )
            yield Sent(files, fields)
        finally:
            await form.close()
    elif not kind or kind.startswith(RAW_TYPES):
        with tempfile.SpooledTemporaryFile(SPOOLED_BYTES) as file:
            upload = UploadFile(file)
            async for chunk in request.stream():
                await upload.write(chunk)
            if not file.tell():
                raise ConfigError("The request is empty (0 bytes): send a picture as its body.")
            await upload.seek(0)
            yield Sent([(base_name(_disposition_name(request)), file)])
    else:
        raise HTTPException(
            415,
            f"A body of the type {kind[:100]} is not read here: send multipart/form-data with the "
            "field 'file', or the picture itself as image/png, image/jpeg, ...",
        )


async def _form(request: Request) -> FormData:
    try:
        return await request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS)
    except HTTPException as error:
        if not error.detail.startswith("Too many files"):
            raise
        raise ImageTooLargeError(
            f"The form holds more than {MOST_FILES} files, the limit. Send them in parts."
        ) from None


def _disposition_name(request: Request) -> str:
    _, options = parse_options_header(request.headers.get("content-disposition", ""))
    return options.get(b"filename", b"").decode("utf-8", "replace")
