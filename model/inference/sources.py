"""Of which file, as it was then, each output was made: what a resumed run need not do again.

A line of `sources.txt` is a stamp of the file and the output that was made of it. It is added once
all outputs of the file are complete: those that a stopped run had not recorded are made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from model.inference.inputs import Item
from model.inference.output import SOURCES_FILE, OutputFolder
from model.writing import replacing


def stamp(item: Item) -> str:
    """16 hex digits that change with the file's path, links followed, its size and its time of
    change; those of an address alone, and of a file that is not there.

    A digest, as results are passed on, and a path would tell where somebody keeps pictures.
    """
    about: list[str | int] = [str(item.path)]
    if isinstance(item.path, Path):
        with contextlib.suppress(OSError):
            status = item.path.stat()
            about = [str(item.path.resolve()), status.st_size, status.st_mtime_ns]
    text = json.dumps(about).encode()
    return hashlib.sha256(text).hexdigest()[:16]


class Sources:
    """The record of an output folder. Raises: `OSError` if it cannot be read."""

    def __init__(self, folder: OutputFolder) -> None:
        self._folder = folder
        self._path = folder.path / SOURCES_FILE
        self._stamps: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError), self._open("r") as file:
            for line in file:
                found, _, output = line.partition(" ")
                with contextlib.suppress(ValueError):  # cut short by a power cut
                    self._stamps[json.loads(output)] = found

    def has(self, item: Item, found: str) -> bool:
        """Whether all outputs of a file are there, made when its stamp was this."""
        return all(
            self._stamps.get(name) == found and os.path.exists(self._folder.path / name)
            for name in self._outputs(item)
        )

    @contextlib.contextmanager
    def recording(self, todo: Mapping[Item, str]) -> Iterator[Callable[[Item, bool], None]]:
        """Forgets the outputs of files that are about to be made, and yields a function that says
        of a file whether its outputs are complete now. If not, those that an earlier run has made
        of another file of that name are removed.

        Args: todo: the files with their stamps from before they are read.
        """
        others = set()
        for item, found in todo.items():
            for name in self._outputs(item):
                if self._stamps.pop(name, found) != found:
                    others.add(name)
        with replacing(self._path) as part, self._open("w", part) as file:
            file.writelines(self._line(name, found) for name, found in self._stamps.items())
        with self._open("a") as file:

            def record(item: Item, complete: bool) -> None:
                names = self._outputs(item)
                if complete:
                    file.writelines(self._line(name, todo[item]) for name in names)
                    file.flush()
                    return
                for name in others.intersection(names):
                    (self._folder.path / name).unlink(missing_ok=True)

            yield record

    def _outputs(self, item: Item) -> list[str]:
        """By their paths within the folder, with forward slashes."""
        targets = self._folder.targets(item).values()
        return [target.relative_to(self._folder.path).as_posix() for target in targets]

    def _line(self, name: str, found: str) -> str:
        return f"{found} {json.dumps(name, ensure_ascii=False)}\n"

    def _open(self, mode: str, path: Path | None = None):
        return open(path or self._path, mode, encoding="utf-8", errors="replace", newline="\n")
