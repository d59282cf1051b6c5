"""Decoded samples, kept so that each is read and scaled once."""

from __future__ import annotations

import logging
import mmap
import os
import shutil
import tempfile
import threading
from typing import IO

import numpy as np

logger = logging.getLogger(__name__)

MEMORY_LIMIT = 2 * 2**30
"""Bytes kept in memory by default: 7,000 samples of 320 x 240."""

DISK_RESERVE = 2**30
"""Bytes left free on the disk: the run that reads the samples has files of its own to write."""

Sample = tuple[np.ndarray, np.ndarray]


class SampleCache:
    """Pictures and labels by number: in memory up to a limit, the rest in a memory-mapped file.

    The file lies in the folder for temporary files (`TMPDIR`) and has no name there: the system
    removes it with the last process that uses it, however that ends. When the disk is full
    this is logged once, and what does not fit is not kept.

    Forked processes share what their parent kept. What they keep themselves stays in their own
    memory: only the process that made the cache writes the file. A pickled cache arrives empty.

    Args: memory_limit: bytes of samples to keep in memory.

    >>> cache = SampleCache()
    >>> image, labels = cache.keep(7, np.zeros((2, 3, 3), np.uint8), np.ones((2, 3), np.uint8))
    >>> cache.get(7)[1].tolist(), cache.get(8)
    ([[1, 1, 1], [1, 1, 1]], None)
    """

    def __init__(self, memory_limit: int = MEMORY_LIMIT) -> None:
        self.memory_limit = memory_limit
        self._memory: dict[int, tuple[np.ndarray, int]] = {}  # bytes, width
        self._memory_bytes = 0
        self._file: IO[bytes] | None = None
        self._file_bytes = 0
        self._places: dict[int, tuple[int, int, int]] = {}  # in the file: offset, length, width
        self._disk_full = False
        self._maker = os.getpid()
        self._lock = threading.Lock()

    def __reduce__(self):
        return SampleCache, (self.memory_limit,)

    def get(self, number: int) -> Sample | None:
        """The sample, uint8 (H, W, 3) and uint8 (H, W), or None if it is not kept.

        The arrays may be views of the cache: do not change them.
        """
        if number in self._memory:
            return _views(*self._memory[number])
        if number in self._places:
            offset, length, width = self._places[number]
            # ACCESS_COPY: no change to the array can reach the file.
            mapped = mmap.mmap(self._file.fileno(), length, access=mmap.ACCESS_COPY, offset=offset)
            return _views(np.frombuffer(mapped, np.uint8), width)
        return None

    def keep(self, number: int, image: np.ndarray, labels: np.ndarray) -> Sample:
        """Keeps a sample if there is room, and returns it as `get` does. Thread-safe.

        Args: image: uint8 (H, W, 3); labels: uint8 (H, W).
        """
        sample = np.concatenate([image.reshape(-1), labels.reshape(-1)])
        width = labels.shape[1]
        with self._lock:
            if self._memory_bytes + sample.nbytes <= self.memory_limit:
                self._memory[number] = sample, width
                self._memory_bytes += sample.nbytes
            elif os.getpid() == self._maker and not self._disk_full:
                self._write(number, sample, width)
        return _views(sample, width)

    def _write(self, number: int, sample: np.ndarray, width: int) -> None:
        folder = "the folder for temporary files"
        try:
            folder = tempfile.gettempdir()
            if shutil.disk_usage(folder).free < DISK_RESERVE + sample.nbytes:
                raise OSError(f"less than {DISK_RESERVE / 2**30:.0f} GiB is free there")
            if self._file is None:
                self._file = tempfile.TemporaryFile(  # noqa: SIM115, open as long as the cache
                    prefix="unet-studio-", dir=folder, buffering=0
                )
            self._file.seek(self._file_bytes)
            if self._file.write(sample) < sample.nbytes:  # as much as there was room for
                raise OSError("no space left")
        except OSError as error:
            self._disk_full = True
            logger.warning(
                "Not all decoded pictures can be kept: the %.0f MiB of memory for them are used "
                "up, and %s has no room for more (%s). The others are read again in each epoch, "
                "which is slower; free space there, or set TMPDIR to another folder.",
                self.memory_limit / 2**20,
                folder,
                error.strerror or error,
            )
            return
        self._places[number] = self._file_bytes, sample.nbytes, width
        # The next sample begins where a mapping can begin.
        pages = -(-sample.nbytes // mmap.ALLOCATIONGRANULARITY)
        self._file_bytes += pages * mmap.ALLOCATIONGRANULARITY


def _views(sample: np.ndarray, width: int) -> Sample:
    split = sample.size // 4 * 3
    return sample[:split].reshape(-1, width, 3), sample[split:].reshape(-1, width)
