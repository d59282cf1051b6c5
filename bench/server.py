"""The app as a separate process, for the benches that call it over HTTP."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from model.data import streets

APP = Path(__file__).resolve().parents[1] / "app.py"
PATIENCE = 120
"""Seconds after which we give up on a server that does not answer."""

# Straight to this machine, whatever proxy the environment names.
urllib.request.install_opener(urllib.request.build_opener(urllib.request.ProxyHandler({})))


@contextlib.contextmanager
def running(environment: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen]]:
    """Starts the app on a free port and ends it.

    Args: environment: variables in addition to those of this process.
    Yields: its address as soon as it answers `/api/health`, and the process.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(APP), "--port", str(port)]
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    try:
        _wait_for(f"{url}/api/health", process)
        yield url, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def png(width: int, height: int) -> bytes:
    """A drawn street."""
    buffer = io.BytesIO()
    Image.fromarray(streets.draw(0, (width, height))[0]).save(buffer, "PNG")
    return buffer.getvalue()


def form(picture: bytes, model: str) -> tuple[bytes, str]:
    """What `POST /api/predict` takes: a multipart form, and its content type."""
    mark = "picture-and-model"
    head = f"--{mark}\r\nContent-Disposition: form-data; name="
    fields = f'{head}"model"\r\n\r\n{model}\r\n{head}"file"; filename="a.png"\r\n\r\n'
    body = fields.encode() + picture + f"\r\n--{mark}--\r\n".encode()
    return body, f"multipart/form-data; boundary={mark}"


def _wait_for(url: str, process: subprocess.Popen) -> None:
    give_up = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < give_up:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(url, timeout=PATIENCE).read()
            return
        time.sleep(0.01)
    sys.exit("error: the app did not start; see its message above.")
