"""Files that are whole at any moment: what is written gets its name only once it is complete."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def provisional(path: Path) -> Path:
    """A file's name until it is complete, e.g. `.mask.png.123.part`, with the process's id."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def complete(path: Path) -> None:
    """Gives what lies under the provisional name its final one, once it is on the disk."""
    with open(provisional(path), "r+b") as file:  # Windows cannot flush a file opened for reading
        os.fsync(file.fileno())
    os.replace(provisional(path), path)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields the provisional name to write to. At the end that file replaces the one at `path`;
    after an error the old one is still there, and nothing is left behind."""
    try:
        yield provisional(path)
        complete(path)
    finally:
        provisional(path).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file so that at any moment either the old or the whole new content is there."""
    with replacing(path) as part:
        part.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """As `write_bytes`, in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, values: Any) -> None:
    write_text(path, json_text(values))


def json_text(values: Any) -> str:
    """As it stands in a checkpoint's files."""
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with equal keys as the text of a CSV file."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
