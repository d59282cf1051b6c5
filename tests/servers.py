"""Servers that tests start beside the app."""

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import httpx


def wait_until_all_answer(
    urls: Sequence[str], process: subprocess.Popen, log: Path, seconds: float = 60
) -> None:
    """Fails with what the process logged if it ends, or does not answer in time."""
    deadline = time.monotonic() + seconds
    while not all(answers(url) for url in urls):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        httpx.get(url)
    except httpx.TransportError:
        return False
    return True
