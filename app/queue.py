"""The one queue in front of the networks, for API and pages: bounded, fair, and closed at the end.

A network already uses all cores for one picture, so more pictures at once only take memory and
time from each other. Who comes gets a job in one of the lanes, or is told at once to come again
later; within a job each picture waits for its turn. Turns go round the lanes that wait, so
that many callers of the API do not keep a visitor of the pages waiting, nor the other way round.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Any, Literal, TypeVar

from app.limits import TooLongError
from app.priority import step_back
from model.checkpoints.folder import Checkpoint
from model.errors import StudioError
from model.inference.options import SegmentOptions
from model.inference.segmenter import Cancelled, Picture, Segmentation, Segmenter
from model.processor import available_cores

Lane = Literal["page", "api", "batch"]

T = TypeVar("T")

PLACES: dict[Lane, int] = {"page": 32, "api": 24, "batch": 2}
"""Jobs that each lane takes at a time, those included whose turn it is."""

MOST_SECONDS_TO_WAIT = 60
"""The longest time that somebody is asked to stay away."""

_SMOOTHING = 0.1


def turns_at_once() -> int:
    """Pictures in hand at a time: one for each core, so that some are decoded and packed while
    another is in the network; at most four, as large ones take a gigabyte each."""
    return min(max(available_cores(), 2), 4)


class BusyError(StudioError):
    """There is no place in the queue, or the server is stopping.

    Attributes: retry_after: seconds after which it is worth asking again.
    """

    def __init__(self, text: str, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class GoneError(StudioError):
    """The client has left while it waited."""


class InferenceQueue:
    """See the module's text. Safe to share between threads and an event loop.

    Args:
        turns: pictures in hand at a time.
        places: jobs by lane, see `PLACES`.
    """

    def __init__(self, turns: int | None = None, places: dict[Lane, int] = PLACES) -> None:
        self.turns = turns or turns_at_once()
        self.places = dict(places)
        self.refused = 0
        self._lock = threading.Lock()
        self._free = self.turns
        self._jobs: dict[Lane, int] = dict.fromkeys(places, 0)
        self._waiting: dict[Lane, deque[Future[None]]] = {lane: deque() for lane in places}
        self._lanes: deque[Lane] = deque(places)
        self._seconds = 0.5
        self._closed = False
        # Threads of its own: others' work in the common pool cannot hold a turn up.
        self._threads = ThreadPoolExecutor(self.turns, "turn", initializer=step_back)

    @contextlib.contextmanager
    def job(self, lane: Lane) -> Iterator[None]:
        """A place in a lane. Raises `BusyError` if there is none, or after `close`."""
        with self._lock:
            self._check_place(lane)
            self._jobs[lane] += 1
        try:
            yield
        finally:
            with self._lock:
                self._jobs[lane] -= 1

    def check_place(self, lane: Lane) -> None:
        """Raises `BusyError` where `job` would now, for who has work to do before it."""
        with self._lock:
            self._check_place(lane)

    @contextlib.contextmanager
    def turn(self, lane: Lane, cancelled: Callable[[], bool] | None = None) -> Iterator[None]:
        """Waits in this thread for a turn, and holds it.

        Args: cancelled: asked from time to time whether to give up.
        Raises: `Cancelled`.
        """
        turn = self._ask(lane)
        try:
            while not turn.done():
                with contextlib.suppress(NotYet):
                    turn.result(timeout=0.2)
                if cancelled is not None and cancelled():
                    raise Cancelled("The segmentation was cancelled.")
        except BaseException:  # `cancelled` may raise as well
            self._give_up(turn)
            raise
        step_back()
        start = time.monotonic()
        try:
            yield
        finally:
            self._pass_on(time.monotonic() - start)

    async def run(
        self,
        lane: Lane,
        work: Callable[[], T],
        seconds: float,
        gone: Callable[[], Awaitable[bool]] | None = None,
    ) -> T:
        """Waits for a turn and does some work in a thread.

        Args:
            seconds: what the work may take. What takes longer goes on to hold its turn until it
                ends, but nobody waits for it any more.
            gone: asked when it is the work's turn whether nobody wants it any more.

        Raises: `TooLongError`, `GoneError`, else as `work`.
        """
        turn = self._ask(lane)
        try:
            await asyncio.wrap_future(turn)
            if gone is not None and await gone():
                raise GoneError("Nobody waits for the answer.")
        except BaseException:
            self._give_up(turn)
            raise

        def hold() -> T:
            start = time.monotonic()
            try:
                return work()
            finally:
                self._pass_on(time.monotonic() - start)

        done = asyncio.wrap_future(self._threads.submit(hold))
        done.add_done_callback(lambda f: f.cancelled() or f.exception())  # nobody else may ask
        try:
            return await asyncio.wait_for(asyncio.shield(done), seconds)
        except TimeoutError:
            raise TooLongError.after(seconds) from None

    def close(self) -> None:
        """Refuses jobs from now on; those that are there are finished."""
        with self._lock:
            self._closed = True

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def running(self) -> int:
        """Turns that are held."""
        return self.turns - self._free

    def waiting(self) -> dict[Lane, int]:
        """Pictures that wait for their turn, by lane."""
        with self._lock:
            return {
                lane: sum(not turn.cancelled() for turn in turns)
                for lane, turns in self._waiting.items()
            }

    def jobs(self) -> dict[Lane, int]:
        """Jobs that have a place, by lane."""
        with self._lock:
            return dict(self._jobs)

    @property
    def idle(self) -> bool:
        with self._lock:
            return self._free == self.turns and not any(self._jobs.values())

    def _check_place(self, lane: Lane) -> None:
        if self._closed:
            self.refused += 1
            raise BusyError("The server is stopping. Ask again in a few seconds.", 5)
        if self._jobs[lane] >= self.places[lane]:
            self.refused += 1
            seconds = self._seconds_to_wait()
            raise BusyError(
                f"The server is busy: {self._jobs[lane]} others wait already. "
                f"Ask again in {seconds} s.",
                seconds,
            )

    def _ask(self, lane: Lane) -> Future[None]:
        turn: Future[None] = Future()
        with self._lock:
            if self._free:
                self._free -= 1
                _grant(turn)
            else:
                self._waiting[lane].append(turn)
        return turn

    def _give_up(self, turn: Future[None]) -> None:
        if not turn.cancel():  # it was granted in the meantime
            self._pass_on(None)

    def _pass_on(self, seconds: float | None) -> None:
        """Gives a turn to who waits longest in the next lane. Args: seconds: what it took."""
        with self._lock:
            if seconds is not None:
                self._seconds += _SMOOTHING * (seconds - self._seconds)
            for _ in range(len(self._lanes)):
                self._lanes.rotate(-1)
                waiting = self._waiting[self._lanes[-1]]
                while waiting:
                    if _grant(waiting.popleft()):
                        return
            self._free += 1

    def _seconds_to_wait(self) -> int:
        ahead = sum(self._jobs.values())
        seconds = math.ceil(ahead * self._seconds / self.turns)
        return min(max(seconds, 1), MOST_SECONDS_TO_WAIT)


def _grant(turn: Future[None]) -> bool:
    """False if nobody waits for it any more."""
    if not turn.set_running_or_notify_cancel():
        return False
    turn.set_result(None)
    return True


class QueuedSegmenter:
    """A segmenter whose pictures wait their turn, for the pages; else like the one it wraps.

    Args: segmenter: from the pool.
    """

    def __init__(self, segmenter: Segmenter, queue: InferenceQueue) -> None:
        self._segmenter = segmenter
        self._queue = queue

    def segment(
        self,
        picture: Picture,
        options: SegmentOptions = SegmentOptions(),  # noqa: B008
        *,
        cancelled: Callable[[], bool] | None = None,
        **others: Any,
    ) -> Segmentation:
        """As `Segmenter.segment`. Also raises `BusyError` where no place is left."""
        with self._queue.job("page"), self._queue.turn("page", cancelled):
            return self._segmenter.segment(picture, options, cancelled=cancelled, **others)

    @property
    def checkpoint(self) -> Checkpoint:
        return self._segmenter.checkpoint

    def __getattr__(self, name: str) -> Any:
        return getattr(self._segmenter, name)
