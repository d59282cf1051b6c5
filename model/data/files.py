"""Folders of pictures and masks, whose files are named by their path without the suffix."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePath, PurePosixPath

from model.data.images import SUFFIXES
from model.errors import ConfigError, DataError

OWN_FOLDER = "folder"
"""What the data set of a user's own pictures is called, whatever folder they are in."""


def key_of(path: str | Path) -> str:
    """What a file is called: its relative path without the suffix, with forward slashes.

    It is in Unicode's form NFC: macOS may write the same name in another form in one folder only.

    Args: path: of a file that is there, or as text, which may come from Windows.
    """
    there = isinstance(path, PurePath)
    # In a file name on Linux a backslash is an ordinary character.
    pure = PurePosixPath(path.as_posix() if there else path.replace("\\", "/"))
    return unicodedata.normalize("NFC", (pure.parent / pure.stem).as_posix())


Refuse = Callable[[DataError], None]


def _raise(error: DataError) -> None:
    raise error


def files_in(
    folder: Path, suffixes: Collection[str] = (), refuse: Refuse = _raise
) -> Iterator[Path]:
    """The files in a folder and those below it, sorted; links to folders are followed, but those
    to one that is below the folder anyway.

    Hidden files and folders are left out: they are other programs', as "._a.jpg" of macOS and the
    folder .ipynb_checkpoints.

    Args:
        suffixes: in lower case; only files with one of these, by default all.
        refuse: called where a folder below cannot be opened; by default the error is raised.

    Raises: `DataError` if the folder itself cannot be opened.
    """
    yield from _files_in(folder, entries(folder), suffixes, refuse, ())


def _files_in(
    folder: Path,
    held: list[Path],
    suffixes: Collection[str],
    refuse: Refuse,
    above: tuple[Path, ...],
) -> Iterator[Path]:
    above = (*above, folder.resolve())
    for path in sorted(held):
        if path.is_dir():
            if path.resolve() in above or _is_found_anyway(path, above[0]):
                continue
            try:
                below = entries(path)
            except DataError as error:
                refuse(error)
                continue
            yield from _files_in(path, below, suffixes, refuse, above)
        # A link to nothing is kept: whoever reads it will say so. What else is no file is left out.
        elif (not suffixes or path.suffix.lower() in suffixes) and (
            path.is_file() or not path.exists()
        ):
            yield path


def _is_found_anyway(path: Path, root: Path) -> bool:
    """Whether it is a link to a folder below the root that has its own name there."""
    if not path.is_symlink() or not (place := path.resolve()).is_relative_to(root):
        return False
    return not any(part.startswith(".") for part in place.relative_to(root).parts)


def entries(folder: Path) -> list[Path]:
    """What a folder holds and is not hidden. Raises `DataError` if it cannot be opened."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{folder} cannot be opened: {error.strerror or error}.") from error


def list_pictures(folder: Path) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """The picture files in a folder and those below it, by name, sorted.

    Returns: the files; and, for each name that several share (they differ only in suffix), all of
        those, the first of which is among the files.
    Raises: `DataError` for a name that is not text, or a folder that cannot be opened.
    """
    found: dict[str, Path] = {}
    same: dict[str, list[Path]] = {}
    for path in files_in(folder, SUFFIXES):
        own = path.relative_to(folder)
        check_name(own)
        name = key_of(own)
        if name in found:
            same.setdefault(name, [found[name]]).append(path)
        else:
            found[name] = path
    return found, same


def check_name(path: PurePath) -> None:
    """Raises `DataError` for a name that is not text: no table, report or page could hold it."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = str(path).encode("utf-8", "backslashreplace").decode()
        raise DataError(f"The name of {shown} is not in UTF-8. Rename the file.") from error


def pictures_in(folder: Path) -> dict[str, Path]:
    """The picture files in a folder and those below it, by name, sorted.

    Raises: `DataError` if there are none, or two differ only in suffix.
    """
    if not folder.is_dir():
        raise DataError(f"The folder {folder} does not exist.")
    found, same = list_pictures(folder)
    for first, second, *_ in same.values():
        raise DataError(
            f"{folder} has both {first.name} and {second.name}; names must differ in more than "
            "the suffix."
        )
    if not found:
        raise DataError(f"{folder} has no pictures ({', '.join(s[1:] for s in SUFFIXES)}).")
    return found


def empty_folder(output: Path) -> None:
    """Creates the folder. Raises `ConfigError` if it holds anything, or cannot be created."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        filled = any(output.iterdir())
    except OSError as error:
        raise ConfigError(
            f"--output: {output} cannot be created: {error.strerror or error}."
        ) from error
    if filled:
        raise ConfigError(
            f"--output: {output} is not empty. Choose another folder; nothing is overwritten."
        )
