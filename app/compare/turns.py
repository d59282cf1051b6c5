"""Turns in the one queue: whatever decodes or segments on this page does it in one.

A picture may take what one of the API may, from its turn on; all that is asked for at once what
anything on the segment page may. Streamlit calls the page in a thread for each visitor: without
turns, as many large pictures would be in memory as there are visitors.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

from app import models
from app.compare.catalogue import is_local
from app.limits import PAGE_SECONDS, Deadline, TooLongError, most_seconds
from model.inference.segmenter import Cancelled


def patience() -> Deadline:
    """By when all that is asked for at once must be done, waiting included. Who sits at the
    machine may have it compute as long as he likes."""
    return Deadline.after(math.inf if is_local() else PAGE_SECONDS)


def too_long() -> str:
    """What is said of pictures that had to be left out when `patience` ended."""
    return f"This took longer than {PAGE_SECONDS // 60} minutes, the wait for others included."


@contextlib.contextmanager
def turn(whole: Deadline) -> Iterator[Callable[[], bool]]:
    """A place in the queue, and a turn for one picture.

    Args: whole: when to stop waiting or working, from `patience`.
    Yields: what `Segmenter.segment` asks whether to give up, its `cancelled`.
    Raises: `BusyError` where no place is left, `TooLongError` for who gives up; `ConfigError` as
        `most_seconds`.
    """
    seconds = most_seconds()
    try:
        with models.QUEUE.job("page"), models.QUEUE.turn("page", whole.passed):
            own = Deadline.after(seconds)
            yield lambda: own.passed() or whole.passed()
    except Cancelled:
        if whole.passed():
            raise TooLongError(too_long()) from None
        raise TooLongError(
            f"This takes longer than the limit of {seconds:g} s. Make the picture smaller."
        ) from None
