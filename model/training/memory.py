"""The C library's allocator, told to keep what training frees."""

from __future__ import annotations

import ctypes
import os
import platform

# Parameters of mallopt(3), by their numbers in glibc's malloc.h.
TRIM_THRESHOLD, MMAP_MAX = -1, -4
CHOSEN_BY_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Makes this process keep freed memory for later allocations.

    Training frees and allocates the same hundreds of megabytes in every step. By default glibc
    gives large blocks back to the system, which clears every page before it hands it out again:
    `python -m bench.steps --variants "freed memory returned"` measures what that costs. It affects
    the whole process, so a command may call it, but a library function may not.

    Returns: whether it did; not with another C library, nor if the environment has chosen.
    """
    if platform.libc_ver()[0] != "glibc" or any(os.environ.get(name) for name in CHOSEN_BY_USER):
        return False
    libc = ctypes.CDLL(None)
    # No blocks outside the heap, and a heap that never shrinks.
    return bool(libc.mallopt(MMAP_MAX, 0) and libc.mallopt(TRIM_THRESHOLD, -1))
