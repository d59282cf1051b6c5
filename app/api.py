"""The REST API: pictures in, masks and everything else out; docs at /api/docs and docs/api.md.

    curl -F file=@cat.jpg http://127.0.0.1:7860/api/predict > mask.png
    curl -T cat.jpg -X POST "http://127.0.0.1:7860/api/predict?output=json"
    curl -F files=@a.jpg -F files=@b.jpg http://127.0.0.1:7860/api/predict/batch > masks.zip

Every error is JSON, {"detail": "a sentence"}:

    400  a malformed form          415  a body that is neither form nor picture
    404  unknown model             422  not a picture, damaged, or a wrong or missing argument
    408  too slow an upload        503  busy (with Retry-After), or the checkpoint is damaged
    413  too many bytes or pixels
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
from fastapi import APIRouter, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from app import limits, metrics, models, overlay
from app.archives import Archive, ArchiveWriter, is_zip, keys
from app.bodies import LimitedBody, Sent, sent
from app.discretion import without_folders
from app.limits import Deadline, TooLongError
from app.look import TAGLINE, TITLE
from app.queue import BusyError, GoneError
from app.schema import (
    JSON,
    BatchWishes,
    ClassEntry,
    ClassFigures,
    ClassResult,
    Figures,
    Health,
    ModelDetail,
    ModelEntry,
    ModelList,
    Prediction,
    PredictWishes,
    Problem,
    Queue,
    SplitFigures,
    Wishes,
)
from model import __version__
from model.checkpoints.folder import Checkpoint
from model.data.images import MAX_BYTES, MAX_PIXELS
from model.errors import (
    CheckpointError,
    ConfigError,
    ImageTooLargeError,
    StudioError,
    UnknownModelError,
)
from model.inference.exports import EXPORTS, Picture, choose
from model.inference.exports.yolo import data_file
from model.inference.options import SegmentOptions
from model.inference.output import FAILED_FILE
from model.inference.segmenter import Cancelled, Segmentation

logger = logging.getLogger(__name__)

STATUS = {
    ImageTooLargeError: 413,
    UnknownModelError: 404,
    CheckpointError: 503,
    BusyError: 503,
    GoneError: 499,
    StudioError: 422,
}
"""HTTP status by error, the more special classes first."""

OURS = "Something went wrong on our side. The picture was not segmented."

_OUTLINED = ("coco", "geojson", "yolo", "zip")
_PACKED = (".png", ".npz", ".zip")

W = TypeVar("W", bound=Wishes)

router = APIRouter()

# One at a time: many threads that parse JSON would keep the event loop from its turn.
_finding = anyio.CapacityLimiter(1)

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PICTURE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/tiff")

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The form is malformed."},
    404: {"model": Problem, "description": "There is no such model."},
    408: {"model": Problem, "description": f"The upload took over {limits.BODY_SECONDS} s."},
    413: {
        "model": Problem,
        "description": f"More than {MAX_BYTES // 2**20} MiB or {MAX_PIXELS // 10**6} megapixels, "
        "or another limit (SECURITY.md lists them).",
    },
    415: {"model": Problem, "description": "The body is neither a form nor a picture."},
    422: {
        "model": Problem,
        "description": "The file is not a picture or is damaged, or an argument is wrong.",
    },
    503: {
        "model": Problem,
        "description": "The server is busy or stopping: ask again after as many seconds as the "
        "header Retry-After says. Without the header: the model's checkpoint is damaged.",
        "headers": {
            "Retry-After": {"schema": {"type": "integer"}, "description": "Seconds to wait."}
        },
    },
}


def _form(wishes: type[Wishes], field: str, file: dict[str, Any]) -> dict[str, Any]:
    """The multipart form, for OpenAPI: a file and the arguments of the address."""
    schema = wishes.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    properties = {field: file, **schema["properties"]}
    return {"schema": schema | {"properties": properties, "required": [field]}}


_FILE = {"type": "string", "format": "binary", "description": "PNG, JPEG, WebP, TIFF, BMP, ..."}
_PREDICT_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": _form(PredictWishes, "file", _FILE),
        **dict.fromkeys((*_PICTURE_TYPES, "application/octet-stream"), _BINARY),
    },
}
_BATCH_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": _form(
            BatchWishes,
            "files",
            {
                "type": "array",
                "items": _FILE,
                "description": f"Pictures, or one ZIP of them; {limits.MOST_FILES} at most.",
            },
        ),
        "application/zip": _BINARY,
    },
}


@router.post(
    "/predict",
    tags=["segment"],
    summary="Segment a picture",
    response_class=Response,
    responses={
        200: {
            "model": Prediction,
            "description": "What `output` names.",
            "content": {
                media_type: _BINARY
                for media_type in dict.fromkeys(e.media_type for e in EXPORTS.values())
                if media_type != "application/json"
            },
        },
        **PROBLEMS,
    },
    openapi_extra={"requestBody": _PREDICT_BODY},
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
    tags=["segment"],
    summary="Segment several pictures",
    response_class=StreamingResponse,
    responses={
        200: {"description": "A ZIP.", "content": {"application/zip": _BINARY}},
        **PROBLEMS,
    },
    openapi_extra={"requestBody": _BATCH_BODY},
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
        pictures = await anyio.to_thread.run_sync(_pictures, received)
        task = await task_for(wishes, wishes.output)
        stack.enter_context(models.QUEUE.job("batch"))
        return _Streamed(
            _batch(task, pictures),
            resources=stack.pop_all(),
            media_type="application/zip",
            headers={"X-Model": task.checkpoint.name, "Cache-Control": "no-store"}
            | _disposition("attachment", "segmentations.zip"),
        )


@router.get("/models", tags=["models"], summary="The models that can be named")
def list_models() -> ModelList:
    default = models.default()
    return ModelList(models=[_entry(c, default=c == default) for c in models.catalogue()])


@router.get(
    "/models/{name}",
    tags=["models"],
    summary="All that is known of a model",
    responses={code: PROBLEMS[code] for code in (404, 422, 503)},
)
def describe_model(
    name: Annotated[str, Path(max_length=200, examples=["pets-mobilenet"])],
) -> ModelDetail:
    """Classes, figures of every split and precision, training data and licence."""
    checkpoint = models.find(name)
    training = checkpoint.description.get("training", {})
    return ModelDetail(
        **_entry(checkpoint, default=checkpoint == models.default()).model_dump(),
        splits=_splits(checkpoint),
        epochs=training.get("epochs_done"),
        open=checkpoint.name in models.POOL.open_models(),
    )


# In the event loop: it must be answered also while all threads are taken.
@router.get("/health", tags=["server"], summary="Whether the server can answer")
async def health() -> Health:
    """Always answered with 200; `ready` says whether pictures can be."""
    default = models.default()
    opened = models.open_models()
    queue = models.QUEUE
    return Health(
        ready=default is not None and default.name in opened and not queue.closed,
        version=__version__,
        open_models=opened,
        damaged=models.damaged(),
        queue=Queue(
            turns=queue.turns,
            running=queue.running,
            waiting=queue.waiting(),
            places=queue.places,
            refused=queue.refused,
        ),
    )


@router.get(
    "/metrics",
    tags=["server"],
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {
            "description": "The text format of Prometheus.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
async def prometheus() -> Response:
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)


def create_api() -> FastAPI:
    """The API as an application of its own, to be mounted at /api."""
    api = FastAPIOffline(  # whose pages need no network
        title=f"{TITLE} API",
        summary=TAGLINE,
        version=__version__,
        description="Send a picture, get its segmentation. Pictures are not kept, and none is "
        "fetched from an address. Pages: [segment pictures](../), [compare models](../compare/).",
        redoc_url=None,
        openapi_tags=[
            {"name": "segment", "description": "Pictures in, masks out."},
            {"name": "models", "description": "What they were trained on and how good they are."},
            {"name": "server", "description": "For whoever runs it."},
        ],
    )
    api.add_middleware(LimitedBody, limit=limits.FORM_BYTES)
    api.add_middleware(metrics.Counted)
    api.include_router(router)
    api.exception_handler(StudioError)(_studio_problem)
    api.exception_handler(RequestValidationError)(_validation_problem)
    api.exception_handler(HTTPException)(_http_problem)
    api.exception_handler(Exception)(_unexpected_problem)
    return api


@dataclass(frozen=True)
class Task:
    """What is to be done with each picture.

    Attributes:
        outputs: names in `EXPORTS`, or "json".
        chosen: ids of the classes in overlays, cut-outs and polygons.
        seconds: that one picture may take.
    """

    checkpoint: Checkpoint
    precision: str | None
    options: SegmentOptions
    outputs: Sequence[str]
    chosen: set[int]
    seconds: float

    def run(self, content: bytes, name: str) -> tuple[Segmentation, list[tuple[str, bytes]]]:
        """Segments a picture. Returns suffix and content of each output, in their order.

        Raises: `StudioError`.
        """
        deadline = Deadline.after(self.seconds)
        start = time.perf_counter()
        picture = Picture.read(content, name)
        decoding = 1e3 * (time.perf_counter() - start)
        if self.options.probabilities:
            height, width = picture.image.shape[:2]
            limits.check_probabilities(height * width, len(self.checkpoint.classes))
        segmenter = models.POOL.get(self.checkpoint, precision=self.precision)
        try:
            result = segmenter.segment(picture.image, self.options, cancelled=deadline.passed)
        except Cancelled:
            raise TooLongError.after(self.seconds) from None
        result.milliseconds["decode"] += decoding
        if any(output in _OUTLINED for output in self.outputs):
            limits.check_outlines(result.labels)
        files = []
        for output in self.outputs:
            if deadline.passed():
                raise TooLongError.after(self.seconds)
            if output == JSON:
                files.append((".json", _prediction(result).model_dump_json().encode()))
            else:
                export = EXPORTS[output]
                files.append((export.suffix, export.write(result, picture, self.chosen)))
        return result, files


async def task_for(wishes: Wishes, outputs: Sequence[str]) -> Task:
    """Raises: as `models.find`; `ConfigError` for what does not suit the model."""
    checkpoint = await anyio.to_thread.run_sync(models.find, wishes.model, limiter=_finding)
    needed = {name for output in outputs for name in _needed(output)}
    options = replace(wishes.options(), **dict.fromkeys(needed, True))
    options.check(checkpoint.classes)
    return Task(
        checkpoint=checkpoint,
        precision=wishes.precision,
        options=options,
        outputs=list(dict.fromkeys(outputs)),
        chosen=choose(checkpoint.classes, wishes.classes),
        seconds=limits.most_seconds(),
    )


def _needed(output: str) -> tuple[str, ...]:
    """The maps that an output is made of."""
    if output == JSON:
        return ("confidence",)
    needs = EXPORTS[output].needs
    return (needs,) if needs else ()


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


Pictures = list[tuple[str, Callable[[], bytes]]]
"""Names, and what reads them."""


def _pictures(received: Sent) -> Pictures:
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


async def _batch(task: Task, pictures: Pictures) -> AsyncIterator[bytes]:
    """The pieces of the ZIP."""
    writer = ArchiveWriter()
    failed = ""
    for key, (name, read) in zip(keys(name for name, _ in pictures), pictures, strict=True):
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
            await anyio.to_thread.run_sync(_add, writer, place, content)
            yield writer.take()
    if "yolo" in task.outputs:
        writer.add("yolo/data.yaml", data_file(task.checkpoint.classes).encode())
    if failed:
        writer.add(FAILED_FILE, failed.encode())
    writer.close()
    yield writer.take()


def _add(writer: ArchiveWriter, place: str, content: bytes) -> None:
    writer.add(place, content, packed=place.endswith(_PACKED))


class _Streamed(StreamingResponse):
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


def _headers(result: Segmentation) -> dict[str, str]:
    steps = ", ".join(f"{name};dur={value:.1f}" for name, value in result.milliseconds.items())
    return {
        "X-Model": result.model,
        "X-Precision": result.precision,
        "Server-Timing": steps,
        "Cache-Control": "no-store",
    }


def _stem(name: str) -> str:
    return PurePosixPath(name).stem or "picture"


def _disposition(kind: str, name: str) -> dict[str, str]:
    """RFC 6266: a name in ASCII, and beside it the whole one for who can read it."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_")
    plain = plain.replace("\\", "_").replace('"', "_")
    return {"Content-Disposition": f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"}


def _prediction(result: Segmentation) -> Prediction:
    height, width = result.labels.shape
    return Prediction(
        model=result.model,
        width=width,
        height=height,
        classes=[
            ClassResult(
                id=row.id,
                name=row.name,
                colour=row.colour,
                pixels=row.pixels,
                share=row.share,
                mean_confidence=round(row.confidence, 4),
            )
            for row in overlay.legend(result)
        ],
        engine=result.engine,
        precision=result.precision,
        milliseconds={name: round(value, 1) for name, value in result.milliseconds.items()},
    )


def _entry(checkpoint: Checkpoint, *, default: bool) -> ModelEntry:
    description = checkpoint.description
    data, encoder = description.get("data", {}), description.get("encoder", {})
    return ModelEntry(
        name=checkpoint.name,
        title=models.label(checkpoint),
        default=default,
        data=checkpoint.data_name,
        network=checkpoint.network_name,
        parameters=description.get("network", {}).get("parameters"),
        encoder=encoder.get("origin") if encoder.get("pretrained") else None,
        classes=[ClassEntry(id=c.id, name=c.name, colour=c.colour) for c in checkpoint.classes],
        figures=_figures(checkpoint, "test", "f32"),
        prices=checkpoint.prices(),
        licence=data.get("licence"),
        source=data.get("source"),
    )


def _figures(checkpoint: Checkpoint, split: str, precision: str) -> Figures | None:
    result = checkpoint.figures(split, precision)
    if result is None:
        return None
    return Figures(
        mean_iou=result["mean_iou"],
        mean_dice=result["mean_dice"],
        accuracy=result["accuracy"],
        pictures=result["num_images"],
        split=split,
        resolution=result.get("resolution", "unknown"),
        precision=precision,
    )


def _splits(checkpoint: Checkpoint) -> list[SplitFigures]:
    """Every split and precision that `metrics.json` has figures of."""
    found = []
    for split, precisions in (checkpoint.metrics or {}).get("splits", {}).items():
        for precision in precisions:
            figures = _figures(checkpoint, split, precision)
            if figures is None:
                continue
            by_class = checkpoint.figures(split, precision).get("per_class", {})
            rows = [
                ClassFigures(
                    name=info.name,
                    pixels=_at(by_class, "support", info.id),
                    **{
                        column: _at(by_class, column, info.id)
                        for column in ("iou", "dice", "precision", "recall")
                    },
                )
                for info in checkpoint.classes
            ]
            found.append(SplitFigures(**figures.model_dump(), classes=rows))
    return found


def _at(columns: dict[str, list], column: str, index: int) -> Any:
    values = columns.get(column, [])
    return values[index] if index < len(values) else None


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    # Names that were sent may hold halves of characters, which no encoding can write.
    detail = detail.encode("utf-8", "replace").decode()
    return JSONResponse({"detail": detail}, status, headers=headers)


def _studio_problem(_: Request, error: StudioError) -> JSONResponse:
    status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, BusyError) else None
    return _problem(status, without_folders(error), headers)


def _validation_problem(_: Request, error: RequestValidationError) -> JSONResponse:
    return _problem(422, wrong_arguments(error.errors()))


def wrong_arguments(faults: Iterable[Mapping[str, Any]]) -> str:
    """What pydantic found wrong, in sentences."""
    sentences = []
    for fault in faults:
        name = ".".join(str(part) for part in fault["loc"] if part not in ("query", "path"))
        if fault["type"] == "extra_forbidden":
            sentences.append(f"There is no argument '{name[:100]}'; see /api/docs.")
        else:
            sentences.append(f"The field '{name[:100]}' is wrong: {fault['msg']}.")
    return " ".join(sentences)


def _http_problem(request: Request, error: HTTPException) -> JSONResponse:
    sentences = {
        404: f"There is nothing at {request.url.path}; see /api/docs.",
        405: f"{request.url.path} does not answer {request.method}; see /api/docs.",
    }
    detail = sentences.get(error.status_code, str(error.detail))
    return _problem(error.status_code, detail, error.headers)


def _unexpected_problem(_: Request, error: Exception) -> JSONResponse:
    # Starlette logs the traceback; it says nothing to the caller.
    return _problem(500, OURS)
