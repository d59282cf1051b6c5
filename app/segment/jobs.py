"""What is being computed for each visitor: how far it is, and whether anybody still wants it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from app.limits import PAGE_SECONDS, Deadline
from model.errors import StudioError
from model.inference.segmenter import Cancelled


class Watch:
    """Follows one computation.

    Args: progress: called with the finished fraction, up to 1.
    """

    def __init__(self, progress: Callable[[float], None] = lambda fraction: None) -> None:
        self.progress = progress
        self._cancelled = threading.Event()
        self._deadline = Deadline.after(PAGE_SECONDS)

    def cancel(self) -> None:
        self._cancelled.set()

    def cancelled(self) -> bool:
        """Whether to give up. Raises `StudioError` once it has taken too long."""
        if self._deadline.passed():
            raise StudioError(
                f"This took longer than {PAGE_SECONDS // 60} minutes. Take fewer or smaller "
                "pictures, or the command line: docs/outputs.md."
            )
        return self._cancelled.is_set()

    def check(self) -> None:
        """Raises `Cancelled` where nobody wants it any more, else as `cancelled`."""
        if self.cancelled():
            raise Cancelled("The segmentation was cancelled.")


class Jobs:
    """The latest computation of each session: a new one takes the place of the one before."""

    def __init__(self) -> None:
        self._watches: dict[str, Watch] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def begin(self, session: str, progress: Callable[[float], None]) -> Iterator[Watch]:
        watch = Watch(progress)
        with self._lock:
            before, self._watches[session] = self._watches.get(session), watch
        if before is not None:
            before.cancel()
        try:
            yield watch
        finally:
            with self._lock:
                if self._watches.get(session) is watch:
                    del self._watches[session]

    def busy(self, session: str) -> bool:
        with self._lock:
            return session in self._watches

    def cancel(self, session: str) -> None:
        with self._lock:
            watch = self._watches.get(session)
        if watch is not None:
            watch.cancel()
