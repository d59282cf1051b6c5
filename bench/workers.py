"""Candidates that take turns, each in its own process.

What a process does to its memory, or is told by its environment, then affects no other.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from typing import Any


class Worker:
    """A process that works when its turn comes.

    Args:
        work: called in the process with a connection, and then `arguments`. It waits for True on
            the connection before each turn, and sends its result; on False it returns.
        environment: variables that the process has in addition to this one's.
    """

    def __init__(
        self, work: Callable, *arguments: Any, environment: dict[str, str] | None = None
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=work, args=(other, *arguments), daemon=True)
        before = dict(os.environ)
        os.environ |= environment or {}
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ |= before
        other.close()  # so that a process that died is noticed here as the end of the connection

    def turn(self) -> Any:
        """Lets it work once, and returns what it sends."""
        self._connection.send(True)
        return self._connection.recv()

    def end(self) -> None:
        self._connection.send(False)
        self._process.join()
