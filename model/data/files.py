"""Folders of pictures and masks, whose files are named by their path without the suffix."""

from __future__ import annotations

from pathlib import Path, PurePath, PurePosixPath

from model.data.images import SUFFIXES
from model.errors import ConfigError, DataError

OWN_FOLDER = "folder"
"""What the data set of a user's own pictures is called, whatever folder they are in."""


def key_of(path: str | Path) -> str:
    """What a file is called: its relative path without the suffix, with forward slashes.

    Args: path: of a file that is there, or as text, which may come from Windows.
    """
    there = isinstance(path, PurePath)
    # In a file name on Linux a backslash is an ordinary character.
    pure = PurePosixPath(path.as_posix() if there else path.replace("\\", "/"))
    return (pure.parent / pure.stem).as_posix()


def list_pictures(folder: Path) -> tuple[dict[str, Path], dict[str, list[Path]]]:
    """The picture files in a folder and those below it, by name, sorted.

    Returns: the files; and, for each name that several share (they differ only in suffix), all of
        those, the first of which is among the files.
    Raises: `DataError` for a name that is not text.
    """
    found: dict[str, Path] = {}
    same: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        own = path.relative_to(folder)
        # Hidden ones are other programs': "._a.jpg" of macOS, the folder .ipynb_checkpoints.
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in own.parts):
            continue
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
