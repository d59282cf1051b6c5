"""Work on many things at a time whose results come in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Made = TypeVar("Made")


def in_order(
    function: Callable[[Given], Made], items: Iterable[Given], threads: int
) -> Iterator[Made]:
    """`map(function, items)` in threads; items are taken only a few ahead of what is done.

    An error of `function` or of `items` is raised in its turn; what has not started by then is
    not started any more.

    >>> list(in_order(abs, iter([-1, 2, -3]), threads=2))
    [1, 2, 3]
    """
    waiting: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(threads) as executor:
        try:
            for item in items:
                waiting.append(executor.submit(function, item))
                # One more than can run, so that no thread waits for the next item.
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
