"""Ctrl-C at moments when it must not simply abort what is running."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""The exit code that shells expect after Ctrl-C."""


def stop_at_once(*_: object) -> None:
    """A signal handler that ends the process with one sentence.

    An interrupted import leaves half-initialised modules, whose errors hide what happened.
    Nothing has begun yet, so nothing needs cleaning up either.
    """
    os.write(2, b"\nStopped.\n")
    os._exit(INTERRUPTED)


@contextmanager
def stopping_at_once() -> Iterator[None]:
    """Inside it, Ctrl-C ends the process through `stop_at_once`. Main thread only."""
    before = signal.signal(signal.SIGINT, stop_at_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def going_on(advice: str) -> Iterator[None]:
    """Inside it, Ctrl-C says what is left and how to continue: the command line prints the message
    of a `KeyboardInterrupt`."""
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(advice) from stop


@contextmanager
def held_back() -> Iterator[None]:
    """Inside it, Ctrl-C is deferred until the block has finished."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread only
        return
    came = False

    def note(*_: object) -> None:
        nonlocal came
        came = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came:
            signal.raise_signal(signal.SIGINT)
