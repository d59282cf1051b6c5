"""The end of the server: what runs is finished, new work is refused."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from types import FrameType

import uvicorn

from app.queue import InferenceQueue

logger = logging.getLogger(__name__)

PATIENCE = 25.0
"""Seconds that are given to what runs. Docker and others kill a process that has not ended some
time after SIGTERM; docs/api.md says how to give it more."""


class FinishingServer(uvicorn.Server):
    """A server that finishes the queue's jobs before it closes its connections.

    Meanwhile it answers: new work with 503, and `/api/health` that it is not ready. A second
    signal stops it at once. Either way `leave` is to be called at the very end.
    """

    def __init__(self, config: uvicorn.Config, queue: InferenceQueue) -> None:
        super().__init__(config)
        self.queue = queue

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn takes this from a second SIGINT only.
        self.force_exit = self.force_exit or self.should_exit
        super().handle_exit(sig, frame)

    def leave(self) -> None:
        """Ends the process where pictures are still being segmented, or a second signal came:
        Python itself would wait for the threads that do it."""
        if self.force_exit or not self.queue.idle:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.queue.close()
        give_up = time.monotonic() + PATIENCE
        while not self.queue.idle and not self.force_exit:
            if time.monotonic() > give_up:
                logger.warning("Stopped although pictures were still being segmented.")
                break
            await asyncio.sleep(0.05)
        # Pages that are still looked at, and programs that listen, are cut off: no errors.
        logging.getLogger("uvicorn.error").addFilter(_not_cut_off)
        await super().shutdown(sockets)


def _not_cut_off(record: logging.LogRecord) -> bool:
    cut_off = record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError)
    # After a second signal the application is not told that it ends: it says so itself.
    told = record.msg.rstrip().endswith("CancelledError")
    return not (cut_off or told or record.msg.startswith("Cancel %s running task(s)"))
