"""Which files a command means, and what their outputs are called."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.files import key_of
from model.data.images import SUFFIXES
from model.errors import ConfigError

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".ogv",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """A file to segment.

    Attributes:
        path: the file.
        name: its path below the folder that was given, with forward slashes.
        key: what its outputs are called: the name without its suffix, or with it where files
            differ in nothing else.
    """

    path: Path
    name: str
    key: str

    @property
    def is_video(self) -> bool:
        return self.path.suffix.lower() in VIDEO_SUFFIXES


def find(inputs: Sequence[str], output: Path) -> list[Item]:
    """The pictures and videos that are meant, each once, in the order of their names.

    Args:
        inputs: files; folders, which are searched with all below them; patterns such as
            `photos/**/*.jpg`, whose matches keep their place below `photos`. Hidden files and
            folders and links to folders are left out. With several folders their outputs are
            kept apart by the folders' names.
        output: files in there are results, not inputs.

    Raises: `ConfigError` for an input that is not there or means nothing, and for different
        files whose outputs would have the same place.
    """
    if not inputs:
        raise ConfigError("Give what to segment: files, folders or patterns such as 'a/**/*.jpg'.")
    several = sum(Path(given).is_dir() for given in inputs) > 1
    output = output.resolve()
    place: dict[str, Path] = {}
    seen: dict[Path, str] = {}
    for given in inputs:
        count = 0
        for path, name in _files(given, several):
            full = path.resolve()
            if full.is_relative_to(output):
                continue
            count += 1
            if seen.setdefault(full, name) != name:
                continue
            if place.setdefault(name, path).resolve() != full:
                raise ConfigError(
                    f"The outputs of {place[name]} and {path} would have the same name. Segment "
                    "them one after the other, with another --output."
                )
        if not count:
            raise ConfigError(
                f"There are no pictures or videos in {given} "
                f"({', '.join(suffix[1:] for suffix in SUFFIXES + VIDEO_SUFFIXES)})."
            )
    keys = _keys(sorted(place))
    return [Item(place[name], name, key) for name, key in keys.items()]


def _files(given: str, several: bool) -> Iterator[tuple[Path, str]]:
    path = Path(given)
    if path.is_dir():
        prefix = f"{path.resolve().name}/" if several else ""
        for file in path.rglob("*"):
            relative = file.relative_to(path)
            if _known(relative):
                yield file, prefix + relative.as_posix()
    elif path.exists():
        yield path, path.name
    elif glob.has_magic(given):
        parts = path.parts
        fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        root = Path(*parts[:fixed])
        for match in glob.iglob(given, recursive=True):
            relative = Path(match).relative_to(root)
            if _known(relative) and Path(match).is_file():
                yield Path(match), relative.as_posix()
    else:
        raise ConfigError(f"There is no file or folder {given}.")


def _known(relative: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    return relative.suffix.lower() in SUFFIXES + VIDEO_SUFFIXES and not hidden


def _keys(names: Sequence[str]) -> dict[str, str]:
    """What the outputs of each file are called.

    It depends on the names only, so that a run that is taken up again finds its own files.
    """
    keys = {name: key_of(name) for name in names}
    while True:
        # File systems may not tell upper from lower case.
        count = Counter(key.casefold() for key in keys.values())
        shared = [name for name, key in keys.items() if count[key.casefold()] > 1 and key != name]
        if not shared:
            return keys
        keys.update((name, name) for name in shared)
