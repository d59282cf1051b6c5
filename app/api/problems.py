"""Every error of the API as JSON, {"detail": "a sentence"}, with its status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app import limits
from app.api.schema import Problem
from app.discretion import without_folders
from app.queue import BusyError, GoneError
from model.data.images import MAX_BYTES, MAX_PIXELS
from model.errors import CheckpointError, ImageTooLargeError, StudioError, UnknownModelError

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


def answer_problems(api: FastAPI) -> None:
    """Makes an application answer so."""
    api.exception_handler(StudioError)(_studio_problem)
    api.exception_handler(RequestValidationError)(_validation_problem)
    api.exception_handler(HTTPException)(_http_problem)
    api.exception_handler(Exception)(_unexpected_problem)


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
