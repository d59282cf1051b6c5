"""Which files a command means.

Pictures can also be at a URL that Arrow's file systems know, for example `s3://bucket/folder`,
or be listed in a Parquet file with a column `path`.
"""

from __future__ import annotations

import glob
import itertools
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from model.data.files import check_name, files_in
from model.data.images import SUFFIXES
from model.errors import ConfigError, ImageError
from model.inference.output import output_keys

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".wmv", ".flv", ".ogv",
)  # fmt: skip


@dataclass(frozen=True)
class Item:
    """A file to segment.

    Attributes:
        path: the file, or the URL of a picture.
        name: its path below the folder that was given, with forward slashes.
        key: what its outputs are called, see `output.output_keys`.
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


def find(inputs: Sequence[str], output: Path) -> list[Item]:
    """The pictures and videos that are meant, in the order of their names; those that several
    inputs mean once.

    Args:
        inputs: files; folders, which are searched with all below them, links to folders followed;
            patterns such as `photos/**/*.jpg`, whose matches keep their place below `photos`.
            Hidden files and folders are left out, and, with a warning, folders below that cannot
            be opened. With several folders their outputs are kept apart by the folders' names.
            Also URLs of folders, and Parquet files whose column `path` has files (relative to the
            Parquet file) or URLs.
        output: files in there are results, not inputs.

    Raises: `ConfigError` for an input that is not there or means nothing, and for different
        files whose outputs would have the same place; `DataError` for a name that is not text, and
        for a folder that cannot be opened.
    """
    if not inputs:
        raise ConfigError("Give what to segment: files, folders or patterns such as 'a/**/*.jpg'.")
    several = sum(Path(given).is_dir() for given in inputs) > 1
    output = output.resolve()
    place: dict[str, Path | str] = {}
    earlier: set[Path | str] = set()
    for given in inputs:
        count = results = 0
        seen: set[Path | str] = set()
        for path, name in _files(given, several):
            full = _full(path)
            if isinstance(full, Path) and full.is_relative_to(output):
                results += 1
                continue
            count += 1
            check_name(PurePosixPath(name))
            if name.startswith("/") or ".." in name.split("/"):
                raise ConfigError(
                    f"The outputs of {path} would lie outside of --output, as {name}. Segment "
                    f"{given} alone."
                )
            # Links within one folder are pictures of their own, each with its outputs.
            seen.add(full)
            if full in earlier:
                continue
            if _full(place.setdefault(name, path)) != full:
                raise ConfigError(
                    f"The outputs of {place[name]} and {path} would have the same name. Segment "
                    "them separately, each with its own --output."
                )
        earlier |= seen
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


def _files(given: str, several: bool) -> Iterator[tuple[Path | str, str]]:
    path = Path(given)
    if "://" in given:
        yield from _below_url(given)
    elif path.suffix.lower() == ".parquet" and path.is_file():
        yield from _listed(path)
    elif path.is_dir():
        prefix = f"{path.resolve().name}/" if several else ""
        # As a disk's lost+found, which only the administrator may open.
        for file in files_in(path, SUFFIXES + VIDEO_SUFFIXES, lambda e: logger.warning("%s", e)):
            yield file, prefix + file.relative_to(path).as_posix()
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
    # Unlike Path's own, no error for a link to itself, which like every file is told of when read.
    return Path(os.path.realpath(path)) if isinstance(path, Path) else path


def _known(relative: PurePosixPath | Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    return relative.suffix.lower() in SUFFIXES + VIDEO_SUFFIXES and not hidden
