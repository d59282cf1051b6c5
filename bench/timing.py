"""Times things in turns, and says how many times faster one is than another."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Wall times of one candidate, one per round.

    Attributes: seconds: float (rounds,).
    """

    seconds: np.ndarray

    @property
    def median(self) -> float:
        """The median wall time in seconds."""
        return float(np.median(self.seconds))

    def times_faster_than(self, other: Timing) -> Ratio:
        """How many times faster this is than `other`, round by round."""
        return Ratio(*np.quantile(other.seconds / self.seconds, [0.5, 0.25, 0.75]).tolist())


@dataclass(frozen=True)
class Ratio:
    """The median of the rounds' ratios, and between which two the middle half of them lies."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.1f} ({self.low:.1f}-{self.high:.1f})"


def in_turns(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Times each candidate once per round, every other round in reverse order.

    A round before the first is thrown away: it pays for imports, caches and thread pools.

    >>> times = in_turns({"short": lambda: sum(range(10)), "long": lambda: sum(range(10**5))}, 5)
    >>> times["short"].times_faster_than(times["long"]).median > 1
    True
    """
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name in list(candidates)[:: -1 if number % 2 else 1]:
            start = time.perf_counter()
            candidates[name]()
            seconds[name].append(time.perf_counter() - start)
    return {name: Timing(np.array(values[1:])) for name, values in seconds.items()}


def machine() -> str:
    """The processor's kind and how many cores this process may use, for the table's head."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores ({platform.machine()})"
