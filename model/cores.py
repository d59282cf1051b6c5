"""How many processor cores this process may keep busy, which is not always how many it sees."""

import functools
import os


@functools.cache
def available_cores() -> int:
    """By the process's affinity and its container's quota, the smaller; at least 1.

    PyTorch and OpenVINO know of the affinity alone. In a container that may use two of a machine's
    64 cores they start a thread for each of the 64, which use the quota up in the first moments of
    each period; then all stand still, the one included that the others wait for.

    `LOKY_MAX_CPU_COUNT` in the environment says that there are fewer.
    """
    # Takes a fifth of a second, and most of what the program does needs it not at once.
    from joblib import cpu_count

    return cpu_count()


def visible_cores() -> int:
    """By the affinity alone: those that PyTorch and OpenVINO would use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_torch_threads() -> None:
    """Keeps PyTorch to the available cores; fewer, if OMP_NUM_THREADS says so, stay fewer."""
    import torch

    if available_cores() < torch.get_num_threads():
        torch.set_num_threads(available_cores())
