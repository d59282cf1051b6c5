"""Opened segmenters, shared within a process and bounded by memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future

from model.checkpoints import zoo
from model.checkpoints.folder import Checkpoint
from model.inference.segmenter import Segmenter

MEMORY_BYTES = 2 * 2**30


class SegmenterPool:
    """Shares opened segmenters between pages and API; the least recently used are dropped first.

    Args:
        memory_bytes: how much all together may keep in memory, as estimated by their engines. The
            last one used stays even if it is larger.
        engine, precision: see `Segmenter`.
    """

    def __init__(
        self, memory_bytes: int = MEMORY_BYTES, *, engine: str = "auto", precision: str = "auto"
    ) -> None:
        self.memory_bytes = memory_bytes
        self.engine = engine
        self.precision = precision
        self._open: OrderedDict[tuple, Future[Segmenter]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, model: str | Checkpoint, *, precision: str | None = None) -> Segmenter:
        """The segmenter of that model, opened now if necessary. Raises as `Segmenter` does.

        A request for a model that is being opened waits for it; other models are not held up.

        Args: precision: another one than the pool's.
        """
        checkpoint = model if isinstance(model, Checkpoint) else zoo.find(model)
        precision = precision or self.precision
        key = (zoo.version(checkpoint.path), precision)
        with self._lock:
            mine = key not in self._open
            opened = self._open.setdefault(key, Future())
            self._open.move_to_end(key)
        if mine:
            try:
                opened.set_result(Segmenter(checkpoint, engine=self.engine, precision=precision))
            except BaseException as error:
                with self._lock:  # so that the next one tries again
                    self._open.pop(key, None)
                opened.set_exception(error)
        segmenter = opened.result()
        self._close_old()
        return segmenter

    def open_models(self) -> list[str]:
        """Names of the models in memory, least recently used first."""
        with self._lock:
            return [segmenter.checkpoint.name for segmenter in self._ready().values()]

    def _close_old(self) -> None:
        with self._lock:
            ready = self._ready()
            total = sum(segmenter.memory_bytes for segmenter in ready.values())
            for key, segmenter in list(ready.items())[:-1]:
                if total <= self.memory_bytes:
                    return
                total -= segmenter.memory_bytes
                del self._open[key]

    def _ready(self) -> dict[tuple, Segmenter]:
        done = {key: future for key, future in self._open.items() if future.done()}
        return {key: future.result() for key, future in done.items() if not future.exception()}
