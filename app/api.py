"""The REST API: POST /api/predict, GET /api/models, GET /api/health, docs at /api/docs.

    curl -F file=@cat.jpg http://127.0.0.1:7860/api/predict > mask.png
    curl -F file=@cat.jpg -F model=pets-mobilenet -F output=json http://127.0.0.1:7860/api/predict

Every error is JSON, {"detail": "a sentence"}:

    400  a malformed form          422  not a picture, damaged, or a wrong or missing argument
    404  unknown model             503  the model's checkpoint is damaged
    413  too many bytes or pixels
"""

from __future__ import annotations

import io
import time
from enum import StrEnum
from typing import Annotated, Any, BinaryIO

import anyio
import anyio.to_thread
from fastapi import APIRouter, FastAPI, File, Form, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi_offline import FastAPIOffline
from PIL import Image
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import models, overlay
from app.discretion import without_folders
from app.look import TAGLINE, TITLE
from model import __version__
from model.checkpoints.folder import Checkpoint
from model.data.images import MAX_BYTES, MAX_PIXELS, decode
from model.data.masks import index_png
from model.errors import (
    CheckpointError,
    ImageTooLargeError,
    StudioError,
    UnknownModelError,
)
from model.inference.segmenter import Segmentation

FORM_BYTES = MAX_BYTES + 2**20
"""The largest request body: the largest picture and the form around it."""

MOST_PICTURES = 4
"""Requests whose pictures are in memory decoded at the same time; others wait."""

STATUS = {
    ImageTooLargeError: 413,
    UnknownModelError: 404,
    CheckpointError: 503,
    StudioError: 422,
}
"""HTTP status by error, the more special classes first."""


class Output(StrEnum):
    """What `POST /api/predict` answers with."""

    mask = "mask"
    overlay = "overlay"
    json = "json"


class Problem(BaseModel):
    """Any answer with a 4xx or 5xx status."""

    detail: str = Field(
        description="What was wrong and what to do.",
        examples=["There is no model 'cats'. Models: pets-mobilenet, pets-scratch."],
    )


class ClassEntry(BaseModel):
    """A class that a model knows."""

    id: int = Field(description="The class's value in masks.", examples=[0])
    name: str = Field(examples=["pet"])
    colour: str = Field(description="#rrggbb, the mask's palette.", examples=["#D55E00"])


class ClassResult(ClassEntry):
    """A class that occurs in the picture."""

    pixels: int = Field(examples=[81920])
    share: float = Field(description="Fraction of the picture, 0 to 1.", examples=[0.3125])
    mean_confidence: float = Field(
        description="Mean softmax probability of the class over its own pixels, 0 to 1.",
        examples=[0.94],
    )


class Prediction(BaseModel):
    """The answer to `output=json`."""

    model: str = Field(examples=["pets-mobilenet"])
    width: int = Field(description="Pixels, after EXIF rotation.", examples=[640])
    height: int = Field(description="Pixels, after EXIF rotation.", examples=[480])
    classes: list[ClassResult] = Field(description="Classes that occur, largest share first.")
    engine: str = Field(description="What ran the network.", examples=["openvino"])
    precision: str = Field(description="Arithmetic of the network.", examples=["f32"])
    milliseconds: dict[str, float] = Field(
        description="Wall time by step.",
        examples=[{"decode": 4.1, "network": 92.0, "labels": 11.3}],
    )


class Figures(BaseModel):
    """Scores on the test split of the model's own data set, over all its pixels."""

    mean_iou: float = Field(description="0 to 1.", examples=[0.812])
    mean_dice: float = Field(description="0 to 1.", examples=[0.893])
    accuracy: float = Field(description="0 to 1.", examples=[0.951])
    pictures: int = Field(description="Pictures in the split.", examples=[85])
    split: str = Field(examples=["test"])
    resolution: str = Field(description="What the masks were compared at.", examples=["original"])
    precision: str = Field(examples=["f32"])


class ModelEntry(BaseModel):
    """A model that can be named in `POST /api/predict`."""

    name: str = Field(examples=["pets-mobilenet"])
    title: str = Field(examples=["Oxford-IIIT Pet · MobileNetV2 (pretrained)"])
    default: bool = Field(description="Used when a request names no model.")
    data: str = Field(description="The data set it was trained on.", examples=["pets"])
    network: str = Field(examples=["unet-mobilenet_v2"])
    parameters: int | None = Field(examples=[6629091])
    encoder: str | None = Field(
        description="What the encoder was pretrained on; null if from scratch.",
        examples=["ImageNet-1k"],
    )
    classes: list[ClassEntry]
    figures: Figures | None = Field(description="null where they have not been measured.")
    prices: dict[str, float] = Field(
        description="What arithmetic below f32 costs, in points of mean IoU on the validation "
        "split; missing where it has not been measured.",
        examples=[{"bf16": 0.02, "int8": 0.31}],
    )
    licence: str | None = Field(description="Of the training data.", examples=["CC BY-SA 4.0"])
    source: str | None = Field(description="Of the training data.")


class ModelList(BaseModel):
    models: list[ModelEntry]


class Health(BaseModel):
    """Whether the server can answer, and what it has."""

    ready: bool = Field(description="The default model is open.")
    version: str = Field(examples=[__version__])
    open_models: list[str] = Field(description="Models in memory.", examples=[["pets-mobilenet"]])
    damaged: dict[str, str] = Field(
        description="Checkpoints that cannot be used, with the reason.",
        examples=[{"carla-scratch": "The checkpoint carla-scratch has no config.json."}],
    )


router = APIRouter()
_pictures = anyio.CapacityLimiter(MOST_PICTURES)

PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The form is malformed."},
    404: {"model": Problem, "description": "There is no such model."},
    413: {
        "model": Problem,
        "description": f"More than {MAX_BYTES // 2**20} MiB or {MAX_PIXELS // 10**6} megapixels.",
    },
    422: {
        "model": Problem,
        "description": "The file is not a picture or is damaged, or an argument is wrong.",
    },
    503: {"model": Problem, "description": "The model's checkpoint is damaged."},
}


@router.post(
    "/predict",
    tags=["segment"],
    summary="Segment a picture",
    response_class=Response,
    responses={
        200: {
            "model": Prediction,
            "description": "The mask or the overlay as PNG, or figures as JSON.",
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        },
        **PROBLEMS,
    },
)
async def predict(
    file: Annotated[UploadFile, File(description="PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, ...")],
    model: Annotated[str | None, Form(description="Name of a model; see /api/models.")] = None,
    output: Annotated[Output | None, Form(description="By default the mask.")] = None,
    model_in_query: Annotated[str | None, Query(alias="model", description="As in form.")] = None,
    output_in_query: Annotated[Output | None, Query(alias="output")] = None,
) -> Response:
    """Segments the picture with a model and answers with one of

    - `mask`: PNG with palette whose pixel values are class ids, exactly; the picture's size.
    - `overlay`: PNG, the picture with the classes drawn over it, the background left bare.
    - `json`: classes that occur with share and confidence, engine, precision, times.

    `model` and `output` may stand in the form or in the address.
    """
    name = model or model_in_query
    kind = output or output_in_query or Output.mask
    # A thread: the event loop stays free for everybody else.
    return await anyio.to_thread.run_sync(_predict, file.file, name, kind, limiter=_pictures)


@router.get("/models", tags=["models"], summary="The models that can be named")
def list_models() -> ModelList:
    default = models.default()
    return ModelList(models=[_entry(c, default=c == default) for c in models.catalogue()])


@router.get("/health", tags=["server"], summary="Whether the server can answer")
def health() -> Health:
    default = models.default()
    opened = models.POOL.open_models()
    return Health(
        ready=default is not None and default.name in opened,
        version=__version__,
        open_models=opened,
        damaged=models.damaged(),
    )


def create_api() -> FastAPI:
    """The API as an application of its own, to be mounted at /api."""
    api = FastAPIOffline(  # whose pages need no network
        title=f"{TITLE} API",
        summary=TAGLINE,
        version=__version__,
        description="Send a picture, get its segmentation. Pictures are not kept.",
        redoc_url=None,
        openapi_tags=[
            {"name": "segment", "description": "Pictures in, masks out."},
            {"name": "models", "description": "What they were trained on and how good they are."},
            {"name": "server", "description": "For whoever runs it."},
        ],
    )
    api.add_middleware(LimitedBody, limit=FORM_BYTES)
    api.include_router(router)
    api.exception_handler(StudioError)(_studio_problem)
    api.exception_handler(RequestValidationError)(_validation_problem)
    api.exception_handler(HTTPException)(_http_problem)
    api.exception_handler(Exception)(_unexpected_problem)
    return api


class LimitedBody:
    """Refuses a request body as soon as it is known to be too large.

    FastAPI's own `max_body_size` answers in plain text where the length is declared.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        declared = Headers(scope=scope).get("content-length", "0")
        size = int(declared) if declared.isdecimal() else 0
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = {} if size > self.limit else await receive()
            received += len(message.get("body", b""))
            if max(size, received) > self.limit:
                raise HTTPException(
                    413,
                    f"The upload is larger than the limit of {MAX_BYTES // 2**20} MiB.",
                    headers={"Connection": "close"},  # or the server would read on
                )
            return message

        await self.app(scope, limited_receive, send)


def _predict(file: BinaryIO, model: str | None, output: Output) -> Response:
    checkpoint = models.find(model)
    start = time.perf_counter()
    image = decode(file)
    decoding = 1e3 * (time.perf_counter() - start)
    segmenter = models.segmenter(checkpoint)
    result = segmenter.segment(image, confidence=output is Output.json)
    result.milliseconds["decode"] += decoding
    if output is Output.json:
        return JSONResponse(_prediction(result).model_dump(), headers=_headers(result))
    if output is Output.mask:
        content = index_png(result.labels, result.classes)
    else:
        buffer = io.BytesIO()
        shown = overlay.shown_at_first(result.classes)
        blended = overlay.overlay(image, result.labels, result.classes, shown=shown)
        Image.fromarray(blended).save(buffer, "PNG")
        content = buffer.getvalue()
    headers = _headers(result) | {"Content-Disposition": f'inline; filename="{output}.png"'}
    return Response(content, media_type="image/png", headers=headers)


def _headers(result: Segmentation) -> dict[str, str]:
    steps = ", ".join(f"{name};dur={value:.1f}" for name, value in result.milliseconds.items())
    return {"X-Model": result.model, "Server-Timing": steps}


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
        figures=_figures(checkpoint),
        prices=checkpoint.prices(),
        licence=data.get("licence"),
        source=data.get("source"),
    )


def _figures(checkpoint: Checkpoint) -> Figures | None:
    result = checkpoint.figures("test")
    if result is None:
        return None
    return Figures(
        mean_iou=result["mean_iou"],
        mean_dice=result["mean_dice"],
        accuracy=result["accuracy"],
        pictures=result["num_images"],
        split="test",
        resolution=result.get("resolution", "unknown"),
        precision="f32",
    )


def _problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status)


def _studio_problem(_: Request, error: StudioError) -> JSONResponse:
    status = next(code for kind, code in STATUS.items() if isinstance(error, kind))
    return _problem(status, without_folders(error))


def _validation_problem(_: Request, error: RequestValidationError) -> JSONResponse:
    sentences = []
    for fault in error.errors():
        name = fault["loc"][-1]
        if fault["type"] == "missing":
            sentences.append(f"The field '{name}' is missing: send multipart/form-data with it.")
        elif name == "file":
            sentences.append("The field 'file' is text: send a file in it, as multipart/form-data.")
        else:
            sentences.append(f"The field '{name}' is wrong: {fault['msg']}.")
    return _problem(422, " ".join(sentences))


def _http_problem(request: Request, error: HTTPException) -> JSONResponse:
    sentences = {
        404: f"There is nothing at {request.url.path}; see /api/docs.",
        405: f"{request.url.path} does not answer {request.method}; see /api/docs.",
    }
    detail = sentences.get(error.status_code, str(error.detail))
    return JSONResponse({"detail": detail}, error.status_code, headers=error.headers)


def _unexpected_problem(_: Request, error: Exception) -> JSONResponse:
    # Starlette logs the traceback; it says nothing to the caller.
    return _problem(500, "Something went wrong on our side. The picture was not segmented.")
