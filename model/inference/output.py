"""The folder that a run writes: a folder for each export, and a record of how they were made.

    segment.json         checkpoint, precision, options: what a later run must share to continue
    sources.txt          of which file, as it was then, each output was made: see `sources`
    mask/sub/a.png       of sub/a.jpg, and so on for every export and file
    pixels.csv, ...      summaries over all files
    failed.txt           files that could not be read, if any, and why

A file gets its name only once it is complete: files that exist are complete.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from model.data.classes import ClassTable
from model.data.files import empty_folder
from model.errors import ConfigError
from model.inference.exports import EXPORTS
from model.inference.video import VIDEO_EXPORTS
from model.writing import replacing, write_bytes, write_json

if TYPE_CHECKING:
    from model.inference.inputs import Item

RECORD_FILE = "segment.json"
SOURCES_FILE = "sources.txt"
FAILED_FILE = "failed.txt"

FRESH_SECONDS = 60
"""Within it, whoever writes a file writes some more of it."""


class OutputFolder:
    """See the module's text.

    Args:
        path: a folder that is empty or not there; with `resume` that of an earlier run.
        formats: names in `EXPORTS`.
        settings: whatever decides what the files contain, ready for JSON.

    Raises: `ConfigError` if the folder is in use or cannot be created, or if its files were made
        with other settings.
    """

    def __init__(
        self, path: Path, formats: Sequence[str], settings: dict[str, Any], *, resume: bool
    ) -> None:
        self.path = path.absolute()  # workers of a cluster have other working folders
        self.formats = formats
        settings = json.loads(json.dumps(settings))  # as it will be read: tuples become lists
        record = path / RECORD_FILE
        if record.exists():
            if not resume:
                raise ConfigError(
                    f"--output: {path} holds the results of an earlier run. Add --resume to "
                    "complete them, or choose another folder."
                )
            _check_same(record, settings)
            self._check_alone()
            self.remove_parts()
        else:
            empty_folder(path)
        write_json(record, settings)

    def _check_alone(self) -> None:
        """Raises `ConfigError` if another process on this machine is writing here right now."""
        for part in self.path.rglob(".*.part"):
            if _is_being_written(part):
                raise ConfigError(
                    f"--output: another run is writing {part.name} in {self.path}. Wait for it to "
                    "end, or stop it."
                )

    def remove_parts(self) -> None:
        """Removes partial files of processes that were stopped."""
        for part in self.path.rglob(".*.part"):
            part.unlink(missing_ok=True)

    def targets(self, item: Item) -> dict[str, Path]:
        """Where each export of a file goes; videos do not have all of them.

        Raises: `ConfigError` if that is not below this folder.
        """
        if item.key.startswith("/") or ".." in item.key.split("/"):
            raise ConfigError(f"The outputs of {item.name} would lie outside of {self.path}.")
        suffixes = {name: EXPORTS[name].suffix for name in self.formats}
        if item.is_video:
            suffixes = {name: VIDEO_EXPORTS[name] for name in suffixes if name in VIDEO_EXPORTS}
        return {name: self.path / name / f"{item.key}{suffixes[name]}" for name in suffixes}

    def has_written(self, item: Item) -> bool:
        """Whether all outputs of a file are of this run: written after its record, by the clock of
        the file system."""
        try:
            begun = (self.path / RECORD_FILE).stat().st_mtime_ns
            return all(p.stat().st_mtime_ns > begun for p in self.targets(item).values())
        except OSError:
            return False

    def write(self, target: Path, content: bytes) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, content)

    def summarise(self, items: Iterable[Item], classes: ClassTable) -> None:
        """Writes the summaries of those files whose outputs are there."""
        pictures = [item for item in items if not item.is_video]
        for name in self.formats:
            if (summary := EXPORTS[name].summary) is None:
                continue
            files = [target for i in pictures if (target := self.targets(i)[name]).exists()]
            if files:
                place, text = summary
                self._write_text(self.path / place, text(files, classes))

    def write_failed(self, failed: dict[str, str]) -> None:
        """Lists files that could not be segmented, by name with the reason."""
        path = self.path / FAILED_FILE
        if failed:
            lines = (f"{name}: {reason}\n" for name, reason in failed.items())
            self._write_text(path, lines)
        else:
            path.unlink(missing_ok=True)

    def _write_text(self, path: Path, pieces: Iterable[str]) -> None:
        """As `write`, in pieces: summaries of many files need not fit into memory."""
        with replacing(path) as part, open(part, "w", encoding="utf-8", newline="") as file:
            file.writelines(pieces)


def output_keys(names: Iterable[str]) -> list[str]:
    """What the outputs of each file are called, one for each name: the name without its suffix, or
    with it where files differ in nothing else. Equal names get a number first.

    It depends on the names only, so that a resumed run finds its own files. No two are equal, not
    even on file systems that ignore case.

    Args: names: paths with forward slashes.

    >>> output_keys(["a/cat.jpg", "a/cat.png", "b/dog.png", "b/dog.png"])
    ['a/cat.jpg', 'a/cat.png', 'b/dog', 'b/dog-2']
    """
    given = distinct_names(names)
    pure = {name: PurePosixPath(name) for name in given}
    keys = {name: (path.parent / path.stem).as_posix() for name, path in pure.items()}
    while True:
        uses = Counter(key.casefold() for key in keys.values())
        shared = [name for name, key in keys.items() if uses[key.casefold()] > 1 and key != name]
        if not shared:
            return [keys[name] for name in given]
        keys.update((name, name) for name in shared)


def distinct_names(names: Iterable[str]) -> list[str]:
    """The names, with a number before the suffix where one is there already, in either case.

    >>> distinct_names(["dog.png", "Dog.png", "dog.jpg"])
    ['dog.png', 'Dog-2.png', 'dog.jpg']
    """
    taken: set[str] = set()
    distinct = []
    for name in names:
        path = PurePosixPath(name)
        numbered = (str(path.with_stem(f"{path.stem}-{number}")) for number in itertools.count(2))
        free = next(one for one in itertools.chain([name], numbered) if one.casefold() not in taken)
        taken.add(free.casefold())
        distinct.append(free)
    return distinct


def _is_being_written(part: Path) -> bool:
    """By the process whose id is in its name, if that is alive: ids are reused."""
    pid = part.name.split(".")[-2]
    try:
        fresh = time.time() - part.stat().st_mtime < FRESH_SECONDS
        if not fresh or not pid.isdecimal() or int(pid) == os.getpid():
            return False
        os.kill(int(pid), 0)
    except PermissionError:
        return True
    except OSError:  # neither process nor file
        return False
    return True


def _check_same(record: Path, settings: dict[str, Any]) -> None:
    try:
        before = json.loads(record.read_text(encoding="utf-8"))
        differing = [name for name in settings if before[name] != settings[name]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"--resume: {record} is not the record of an earlier run of this version ({error!r}). "
            "Choose another --output."
        ) from error
    if differing:
        shown = ", ".join(f"{n} {before[n]!r} instead of {settings[n]!r}" for n in differing)
        raise ConfigError(
            f"--resume: the files in {record.parent} were made with {shown}. Use the same, or "
            "choose another --output."
        )
