"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table of as many columns as `head` has, whatever its cells say.

    >>> print(table(["class", "IoU"], [["a|b", 68.0]]))
    | class | IoU |
    |---|---|
    | a\\|b | 68.0 |
    """
    lines = [f"| {' | '.join(map(_cell, line))} |" for line in (head, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|")
