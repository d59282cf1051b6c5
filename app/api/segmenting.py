"""Pictures in, masks and everything else out."""

from __future__ import annotations

import contextlib
from pathlib import PurePosixPath
from typing import Annotated, TypeVar
from urllib.parse import quote

import anyio.to_thread
from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response, StreamingResponse
from pydantic import ValidationError

from app import metrics, models
from app.api.batch import Streamed, pictures_of, segmented
from app.api.openapi import ANSWERS, BATCH_BODY, BINARY, PREDICT_BODY
from app.api.problems import PROBLEMS
from app.api.schema import JSON, BatchWishes, Prediction, PredictWishes, Wishes
from app.api.tasks import task_for
from app.bodies import Sent, sent
from model.data.images import MAX_BYTES
from model.errors import ConfigError
from model.inference.exports import EXPORTS
from model.inference.segmenter import Segmentation

W = TypeVar("W", bound=Wishes)

router = APIRouter(tags=["segment"])


@router.post(
    "/predict",
    summary="Segment a picture",
    response_class=Response,
    responses={
        200: {
            "model": Prediction,
            "description": "What `output` names.",
            "content": ANSWERS,
        },
        **PROBLEMS,
    },
    openapi_extra={"requestBody": PREDICT_BODY},
)
async def predict(request: Request, in_address: Annotated[PredictWishes, Query()]) -> Response:
    """Segments the picture with a model and answers with one of

    - `mask`: PNG with palette whose pixel values are class ids, exactly; the picture's size.
    - `overlay`, `cutout`: PNG, the picture with the classes drawn over it, or cut out.
    - `coco`, `coco-rle`, `geojson`, `yolo`: polygons and run lengths for other programs.
    - `csv`: pixels per class. `confidence`, `entropy`: grey PNG. `npz`: all probabilities.
    - `zip`: all of these.
    - `json`: classes that occur with share and confidence, engine, precision, times.

    The picture is the field `file` of a form or the body itself. The arguments may stand in the
    address or in the form.
    """
    models.QUEUE.check_place("api")  # to read a form costs time, that of those who are served
    async with sent(request) as received:
        wishes = _merged(in_address, received)
        name, file = received.one()
        with models.QUEUE.job("api"):
            task = await task_for(wishes, [wishes.output])
            result, ((suffix, content),) = await models.QUEUE.run(
                "api",
                lambda: task.run(file.read(MAX_BYTES + 1), name),
                task.seconds,
                gone=request.is_disconnected,
            )
    metrics.observe(result)
    kind = EXPORTS[wishes.output].media_type if wishes.output != JSON else "application/json"
    return Response(
        content,
        media_type=kind,
        headers=_headers(result) | _disposition("inline", f"{_stem(name)}-{wishes.output}{suffix}"),
    )


@router.post(
    "/predict/batch",
    summary="Segment several pictures",
    response_class=StreamingResponse,
    responses={
        200: {"description": "A ZIP.", "content": {"application/zip": BINARY}},
        **PROBLEMS,
    },
    openapi_extra={"requestBody": BATCH_BODY},
)
async def predict_batch(request: Request, in_address: Annotated[BatchWishes, Query()]) -> Response:
    """Segments pictures, sent as several files or as a ZIP, and answers with a ZIP that is
    sent while it is made: a folder for each output, in it a file for each picture. Pictures that
    could not be segmented are listed in `failed.txt` with the reason.
    """
    models.QUEUE.check_place("batch")
    async with contextlib.AsyncExitStack() as stack:
        received = await stack.enter_async_context(sent(request))
        wishes = _merged(in_address, received)
        pictures = await anyio.to_thread.run_sync(pictures_of, received)
        task = await task_for(wishes, wishes.output)
        stack.enter_context(models.QUEUE.job("batch"))
        return Streamed(
            segmented(task, pictures),
            resources=stack.pop_all(),
            media_type="application/zip",
            headers={"X-Model": _in_header(task.checkpoint.name), "Cache-Control": "no-store"}
            | _disposition("attachment", "segmentations.zip"),
        )


def _merged(in_address: W, received: Sent) -> W:
    """Arguments of the form count before those in the address."""
    lists = {
        name for name, info in type(in_address).model_fields.items()
        if "list" in str(info.annotation)
    }  # fmt: skip
    for name, values in received.fields.items():
        if name not in lists and len(values) > 1:
            raise ConfigError(f"The field '{name}' stands in the form {len(values)} times.")
    in_form = {
        # An empty field of a form is one that nobody filled in.
        name: values if name in lists else values[0]
        for name, values in received.fields.items()
        if values != [""]
    }
    try:
        return type(in_address).model_validate(in_address.model_dump(exclude_unset=True) | in_form)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def _headers(result: Segmentation) -> dict[str, str]:
    steps = ", ".join(f"{name};dur={value:.1f}" for name, value in result.milliseconds.items())
    return {
        "X-Model": _in_header(result.model),
        "X-Precision": result.precision,
        "Server-Timing": steps,
        "Cache-Control": "no-store",
    }


def _in_header(name: str) -> str:
    """Headers are ASCII; what is not, and the sign for it, is percent-encoded."""
    return quote(name, safe=" !#$&'()*+,/:;=?@[]")


def _stem(name: str) -> str:
    return PurePosixPath(name).stem or "picture"


def _disposition(kind: str, name: str) -> dict[str, str]:
    """RFC 6266: a name in ASCII, and beside it the whole one for who can read it."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    plain = plain.replace("\\", "_").replace('"', "_")
    return {"Content-Disposition": f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"}
