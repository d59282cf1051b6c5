"""The processor: its name, its instructions, and how many cores this process may keep busy, which
is not always how many it sees."""

from __future__ import annotations

import functools
import os
import platform
from pathlib import Path

CPU_INFO = Path("/proc/cpuinfo")
"""What Linux states of the processor; other systems have no such file."""


def processor_name() -> str:
    """As the kernel calls it; the architecture where it does not."""
    lines = _stated().splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def instructions() -> frozenset[str]:
    """The kernel's names for what the processor can do, such as "amx_bf16"; empty where it states
    none."""
    stated = (line.partition(":") for line in _stated().splitlines() if line.startswith("flags"))
    return frozenset(word for _, _, words in stated for word in words.split())


def _stated() -> str:
    return CPU_INFO.read_text() if CPU_INFO.is_file() else ""


@functools.cache
def available_cores() -> int:
    """The smaller of the process's affinity and its container's quota; at least 1.

    PyTorch and OpenVINO look at the affinity only. In a container that may use two of a machine's
    64 cores they start 64 threads, which use up the quota in the first moments of each period;
    then all of them stall, including the one that the others wait for.

    `LOKY_MAX_CPU_COUNT` in the environment lowers the number.
    """
    # Imported here because it takes 0.1 s, and most commands do not need it.
    from joblib import cpu_count

    return cpu_count()


def visible_cores() -> int:
    """By affinity alone: the number of cores that PyTorch and OpenVINO would use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_torch_threads() -> None:
    """Limits PyTorch to the available cores; a lower OMP_NUM_THREADS stays in force."""
    import torch

    if available_cores() < torch.get_num_threads():
        torch.set_num_threads(available_cores())
