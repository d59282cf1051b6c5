"""A split as a JSON file, so that others can train and test on the very same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from model.data import splits
from model.data.schema import Record, parse_json, validate
from model.data.splits import Split
from model.errors import DataError


class SplitFile(Record):
    """What the file holds: the data set's name, the rule in words, the digest, the names."""

    data: str
    rule: str
    digest: str
    parts: dict[Literal["train", "validation", "test"], list[str]]


def write(path: Path, split: Split, *, data: str, rule: str) -> None:
    """Writes a split. Raises `DataError` if it leaks, or the file exists or cannot be written."""
    parts = splits.check(split)
    content = SplitFile(data=data, rule=rule, digest=splits.digest(parts), parts=parts)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content.model_dump_json(indent=1) + "\n")
    except FileExistsError as error:
        raise DataError(f"{path} exists already. Choose another name for the split.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}.") from error


def read(path: Path) -> SplitFile:
    """Reads what `write` wrote.

    Raises: `DataError` if it is not such a file, was changed since, or leaks.
    """
    content = validate(SplitFile, parse_json(path), path)
    missing = [part for part in splits.PARTS if part not in content.parts]
    if missing:
        raise DataError(f"{path.name} has no part {missing}; it needs {list(splits.PARTS)}.")
    splits.check(content.parts)
    actual = splits.digest(content.parts)
    if actual != content.digest:
        raise DataError(
            f"{path.name} was changed after it was written: its names do not match its digest "
            f"{content.digest}. If the change is intended, set the digest to {actual}."
        )
    return content
