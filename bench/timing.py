"""Times things in turns, and says how many times faster one is than another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.processor import available_cores, instructions, processor_name

INSTRUCTIONS = ("avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")


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
    """The median of the rounds' ratios, and the ends of their middle half (the quartiles)."""

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
    """For the table's head: the processor, how many cores this process may use, and which of the
    instructions that matter for bf16 and int8 it has."""
    has = instructions()
    listed = [name for name in INSTRUCTIONS if name in has]
    return ", ".join([processor_name(), f"{available_cores()} cores", *listed])
