"""The end of the server: what runs is finished, new work is refused."""

from __future__ import annotations

import asyncio
import logging
import socket
import time

import uvicorn

from app.queue import InferenceQueue

logger = logging.getLogger(__name__)

PATIENCE = 25.0
"""Seconds that are given to what runs. Docker and others kill a process that has not ended some
time after SIGTERM; docs/api.md says how to give it more."""


class FinishingServer(uvicorn.Server):
    """A server that finishes the queue's jobs before it closes its connections.

    Meanwhile it answers: new work with 503, and `/api/health` that it is not ready. A second
    signal stops it at once.
    """

    def __init__(self, config: uvicorn.Config, queue: InferenceQueue) -> None:
        super().__init__(config)
        self.queue = queue

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
    return not (cut_off or record.msg.startswith("Cancel %s running task(s)"))
