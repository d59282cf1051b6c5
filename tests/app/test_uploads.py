"""Uploads to the page leave nothing on disk where they are broken off or refused."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import pytest
from gradio import route_utils
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive, Scope, Send

from app.bodies import LimitedBody
from app.uploads import BoundedUploads
from tests.loops import run_apart

SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/gradio_api/upload",
    "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
}
PICTURE = bytes(100_000)


END = b"\r\n--x--\r\n"


def part(field: str) -> bytes:
    head = f'--x\r\nContent-Disposition: form-data; name="{field}"; filename="a.png"\r\n\r\n'
    return head.encode() + PICTURE


def upload(folder: Path, messages: list[Message], limit: int = 10**6) -> list[Path]:
    """What is on disk when the request is over, whatever became of it."""
    seen = []

    async def receive_all(scope: Scope, receive: Receive, _: Send) -> None:
        async def noted() -> Message:
            seen.extend(folder.iterdir())
            return await receive()

        await route_utils.upload_fn(Request(scope, noted), folder, math.inf, None)

    async def next_message() -> Message:
        return messages.pop(0)

    async def scene() -> None:
        app = LimitedBody(BoundedUploads(receive_all), limit)
        with contextlib.suppress(ClientDisconnect, HTTPException):
            await app(SCOPE, next_message, None)

    run_apart(scene())
    assert seen, "nothing was on disk at any time"
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def body(content: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": content, "more_body": more}


def test_a_whole_upload_stays(folder):
    (path,) = upload(folder, [body(part("files"), more=True), body(END)])
    assert path.name == "a.png"
    assert path.read_bytes() == PICTURE


@pytest.mark.parametrize("end", ["gone", "too large", "another field"])
def test_what_does_not_become_an_upload_goes(folder, end):
    field = "other" if end == "another field" else "files"
    first, second = body(part(field), more=True), body(PICTURE + END)
    if end == "gone":
        second = {"type": "http.disconnect"}
    assert upload(folder, [first, second], 150_000 if end == "too large" else 10**6) == []
