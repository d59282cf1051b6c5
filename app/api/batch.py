"""Many pictures in, a ZIP out that is sent while it is made."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping

import anyio
import anyio.to_thread
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from app import limits, metrics, models
from app.api.problems import OURS
from app.api.tasks import Task
from app.archives import Archive, ArchiveWriter, is_zip
from app.bodies import Sent
from app.discretion import without_folders
from model.data.images import MAX_BYTES
from model.errors import ImageTooLargeError, StudioError
from model.inference.exports.yolo import data_file
from model.inference.output import FAILED_FILE, output_keys

logger = logging.getLogger(__name__)

Pictures = list[tuple[str, Callable[[], bytes]]]
"""Names, and what reads them."""


def pictures_of(received: Sent) -> Pictures:
    """The pictures of a batch. Raises as `Archive`, and `ImageTooLargeError` for too many."""
    pictures: Pictures = []
    for name, file in received.files:
        if is_zip(file):
            archive = Archive(file)
            for index, member in enumerate(archive.names()):
                pictures.append((member, lambda a=archive, i=index: a.read(i)))
        else:
            pictures.append((name, lambda file=file: file.read(MAX_BYTES + 1)))
    if len(pictures) > limits.MOST_FILES:
        raise ImageTooLargeError(
            f"These are {len(pictures)} pictures; the limit is {limits.MOST_FILES}. Send them in "
            "parts."
        )
    return pictures


async def segmented(task: Task, pictures: Pictures) -> AsyncIterator[bytes]:
    """The pieces of the ZIP."""
    writer = ArchiveWriter()
    failed = ""
    keys = output_keys(name for name, _ in pictures)
    for key, (name, read) in zip(keys, pictures, strict=True):
        try:
            result, files = await models.QUEUE.run(
                "batch", lambda read=read, name=name: task.run(read(), name), task.seconds
            )
        except StudioError as error:
            failed += f"{name}: {without_folders(error)}\n"
            continue
        except Exception:
            logger.exception("A picture of a batch could not be segmented")
            failed += f"{name}: {OURS}\n"
            continue
        metrics.observe(result)
        for output, (suffix, content) in zip(task.outputs, files, strict=True):
            place = f"{output}/{key}{suffix}"
            await anyio.to_thread.run_sync(writer.add, place, content)
            yield writer.take()
    if "yolo" in task.outputs:
        writer.add("yolo/data.yaml", data_file(task.checkpoint.classes).encode())
    if failed:
        writer.add(FAILED_FILE, failed.encode())
    writer.close()
    yield writer.take()


class Streamed(StreamingResponse):
    """An answer that is made while it is sent.

    Args: resources: let go when it has been sent, or its client has gone or stopped reading.
    """

    def __init__(
        self,
        content: AsyncIterator[bytes],
        *,
        resources: contextlib.AsyncExitStack,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self.resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patient_send(message: Message) -> None:
            with anyio.fail_after(limits.SEND_SECONDS):
                await send(message)

        async with self.resources:
            try:
                await super().__call__(scope, receive, patient_send)
            except TimeoutError:
                logger.warning("A client stopped reading its answer; it was broken off.")
