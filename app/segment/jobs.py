"""What is being computed for each visitor: how far it is, and whether anybody still wants it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from app.limits import PAGE_SECONDS, Deadline
from model.errors import StudioError
from model.inference.segmenter import Cancelled


class Replaced(Cancelled):
    """Something newer was asked for, which is computed instead."""


class Watch:
    """Follows one computation.

    Args:
        progress: called with the finished fraction, up to 1.
        aside: whether it goes on beside others, see `Jobs.begin`.

    Attributes: replaced: whether a segmentation was asked for since.
    """

    def __init__(
        self, progress: Callable[[float], None] = lambda fraction: None, *, aside: bool = False
    ) -> None:
        self.progress = progress
        self.aside = aside
        self.replaced = False
        self._cancelled = threading.Event()
        self._deadline = Deadline.after(PAGE_SECONDS)

    def cancel(self) -> None:
        self._cancelled.set()

    def give_way(self) -> None:
        """To a newer segmentation; what runs aside goes on."""
        if self.wanted:
            self.replaced = True
            if not self.aside:
                self.cancel()

    @property
    def wanted(self) -> bool:
        return not self._cancelled.is_set()

    def cancelled(self) -> bool:
        """Whether to give up. Raises `StudioError` once it has taken too long."""
        if self._deadline.passed():
            raise StudioError(
                f"This took longer than {PAGE_SECONDS // 60} minutes. Take fewer or smaller "
                "pictures, or the command line: docs/outputs.md."
            )
        return not self.wanted

    def check(self) -> None:
        """Raises `Cancelled` where nobody wants it any more, else as `cancelled`."""
        if self.cancelled():
            raise Cancelled("The segmentation was cancelled.")


class Jobs:
    """What runs for each session: one segmentation, the latest, and beside it any files that are
    being made."""

    def __init__(self) -> None:
        self._watches: dict[str, list[Watch]] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def begin(
        self, session: str, progress: Callable[[float], None], *, aside: bool = False
    ) -> Iterator[Watch]:
        """A segmentation takes the place of the one before; what is `aside`, as making a file is,
        neither ends anything nor is ended by anything but `cancel`.

        Raises: `Replaced` instead of `Cancelled` where something newer is the reason.
        """
        watch = Watch(progress, aside=aside)
        with self._lock:
            watches = self._watches.setdefault(session, [])
            if not aside:
                for before in watches:
                    before.give_way()
            watches.append(watch)
        try:
            yield watch
        except Cancelled as error:
            if watch.replaced:
                raise Replaced("Something newer was asked for.") from error
            raise
        finally:
            with self._lock:
                watches.remove(watch)
                if not watches:
                    del self._watches[session]

    def busy(self, session: str) -> bool:
        """Whether a segmentation is being computed that is still wanted."""
        with self._lock:
            return any(w.wanted and not w.aside for w in self._watches.get(session, []))

    def cancel(self, session: str) -> None:
        """Ends all that runs."""
        with self._lock:
            for watch in self._watches.get(session, []):
                watch.cancel()
