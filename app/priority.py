"""Who computes first: the event loop, so that the server answers while networks take all cores.

It works for a millisecond at a time; by the system's usual fairness it would each time wait until
a network's threads have had their share, for tens of milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from pathlib import Path

NICE = 5
"""A third of the weight of other threads; more would starve networks beside other programs."""


def step_back() -> None:
    """Lets all threads but those that have stepped back too go before this one, and before those
    that it starts. On Linux, where a thread has a priority of its own; nothing elsewhere."""
    if sys.platform == "linux":
        _lower(threading.get_native_id())


def others_step_back() -> None:
    """As `step_back`, for all threads of this process but this one."""
    if sys.platform == "linux":
        mine = threading.get_native_id()
        for task in Path("/proc/self/task").iterdir():
            if int(task.name) != mine:
                _lower(int(task.name))


def _lower(thread: int) -> None:
    # It may have ended, or been started with a lower priority, which only root may raise.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, max(NICE, os.getpriority(os.PRIO_PROCESS, thread)))
