"""Keeps the folder of uploaded files within a bound, whatever visitors send."""

from __future__ import annotations

import contextlib
from pathlib import Path

MOST_BYTES = 2 * 2**30
"""Gradio deletes files by age only; this bounds what can come in until then."""


def trim(folder: Path, most_bytes: int = MOST_BYTES) -> None:
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
