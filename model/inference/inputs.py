"""Which files a command means, and what their outputs are called.

Pictures can also be at a URL that Arrow's file systems know, for example `s3://bucket/folder`,
or be listed in a Parquet file with a column `path`.
"""

from __future__ import annotations

import glob
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from model.data.files import check_name
from model.data.images import SUFFIXES
from model.errors import ConfigError, ImageError

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".ogv",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """A file to segment.

    Attributes:
        path: the file, or the URL of a picture.
        name: its path below the folder that was given, with forward slashes.
        key: what its outputs are called, see `output_keys`.
    """

    path: Path | str
    name: str
    key: str

    @property
    def is_video(self) -> bool:
        return PurePosixPath(self.name).suffix.lower() in VIDEO_SUFFIXES

    def source(self) -> Path | bytes:
        """The picture file. Raises `ImageError` if there is nothing at the URL."""
        if isinstance(self.path, Path):
            return self.path
        from pyarrow import ArrowException, fs

        try:
            system, path = fs.FileSystem.from_uri(self.path)
            with system.open_input_file(path) as file:
                return file.read()
        except (OSError, ArrowException) as error:
            raise ImageError(f"{self.name} cannot be fetched ({error}).") from error

    def changed_ns(self) -> int:
        """When the file was last changed; 0, long ago, for a URL."""
        return self.path.stat().st_mtime_ns if isinstance(self.path, Path) else 0


def find(inputs: Sequence[str], output: Path) -> list[Item]:
    """The pictures and videos that are meant, each once, in the order of their names.

    Args:
        inputs: files; folders, which are searched with all below them; patterns such as
            `photos/**/*.jpg`, whose matches keep their place below `photos`. Hidden files and
            folders and links to folders are left out. With several folders their outputs are
            kept apart by the folders' names. Also URLs of folders, and Parquet files whose column
            `path` has files (relative to the Parquet file) or URLs.
        output: files in there are results, not inputs.

    Raises: `ConfigError` for an input that is not there or means nothing, and for different
        files whose outputs would have the same place; `DataError` for a name that is not text.
    """
    if not inputs:
        raise ConfigError("Give what to segment: files, folders or patterns such as 'a/**/*.jpg'.")
    several = sum(Path(given).is_dir() for given in inputs) > 1
    output = output.resolve()
    place: dict[str, Path | str] = {}
    seen: dict[Path | str, str] = {}
    for given in inputs:
        count = results = 0
        for path, name in _files(given, several):
            full = _full(path)
            if isinstance(full, Path) and full.is_relative_to(output):
                results += 1
                continue
            count += 1
            check_name(PurePosixPath(name))
            if seen.setdefault(full, name) != name:
                continue
            if _full(place.setdefault(name, path)) != full:
                raise ConfigError(
                    f"The outputs of {place[name]} and {path} would have the same name. Segment "
                    "them separately, each with its own --output."
                )
        if results and not count:
            raise ConfigError(
                f"--output: all pictures of {given} are in {output}, where files count as results. "
                "Choose another folder."
            )
        if not count:
            raise ConfigError(
                f"There are no pictures or videos in {given} "
                f"({', '.join(suffix[1:] for suffix in SUFFIXES + VIDEO_SUFFIXES)})."
            )
    names = sorted(place)
    keys = output_keys(names)
    return [Item(place[name], name, key) for name, key in zip(names, keys, strict=True)]


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


def _files(given: str, several: bool) -> Iterator[tuple[Path | str, str]]:
    path = Path(given)
    if "://" in given:
        yield from _below_url(given)
    elif path.suffix.lower() == ".parquet" and path.is_file():
        yield from _listed(path)
    elif path.is_dir():
        prefix = f"{path.resolve().name}/" if several else ""
        for file in path.rglob("*"):
            relative = file.relative_to(path)
            if _known(relative) and file.is_file():
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


def _below_url(url: str) -> Iterator[tuple[str, str]]:
    from pyarrow import ArrowException, fs

    try:
        system, root = fs.FileSystem.from_uri(url)
        found = system.get_file_info(fs.FileSelector(root, recursive=True))
    except (OSError, ArrowException) as error:
        raise ConfigError(f"{url} cannot be listed ({error}).") from error
    folder, mark, query = url.partition("?")
    for info in found:
        relative = PurePosixPath(info.path).relative_to(root)
        if info.is_file and _known(relative) and relative.suffix.lower() in SUFFIXES:
            address = f"{folder.rstrip('/')}/{quote(str(relative))}{mark}{query}"
            yield address, str(relative)


def _listed(listing: Path) -> Iterator[tuple[Path | str, str]]:
    """Names are what differs between the paths, from their last common folder on."""
    from pyarrow import ArrowException, parquet

    try:
        paths = parquet.read_table(listing, columns=["path"])["path"].to_pylist()
        parts = [PurePosixPath(path).parts for path in paths]
    except (OSError, ArrowException, KeyError, TypeError) as error:
        raise ConfigError(
            f"{listing} is not a list of pictures: it must be a Parquet file with a column 'path' "
            f"of text ({error})."
        ) from error
    levels = zip(*(one[:-1] for one in parts), strict=False)
    common = sum(1 for _ in itertools.takewhile(lambda names: len(set(names)) == 1, levels))
    for path, names in zip(paths, parts, strict=True):
        # No "/" or "..": outputs stay within their folder.
        inner = [name for name in names[common:] if name.strip("/.")]
        yield path if "://" in path else listing.parent / path, "/".join(inner)


def _full(path: Path | str) -> Path | str:
    return path.resolve() if isinstance(path, Path) else path


def _known(relative: PurePosixPath | Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    return relative.suffix.lower() in SUFFIXES + VIDEO_SUFFIXES and not hidden
