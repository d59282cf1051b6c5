"""Gradio's own API: named functions for `gradio_client`, and tools of the MCP endpoint.

They are one more door to what `app.api` does, with the same models, arguments, queue and limits:

    client = gradio_client.Client("http://127.0.0.1:7860")
    mask, overlay, found = client.predict(gradio_client.handle_file("cat.jpg"), api_name="/segment")

What differs is that files lie in Gradio's folder while they travel, as those of the page do.
"""

# No `from __future__ import annotations`: Gradio reads the types of what is returned as they stand.

import functools
import json
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio.to_thread
import gradio as gr
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder
from pydantic import ValidationError

from app import metrics, models
from app.api.describing import list_models
from app.api.problems import OURS, wrong_arguments
from app.api.schema import JSON, Output, Wishes
from app.api.tasks import task_for
from app.discretion import without_folders
from app.limits import base_name
from app.uploads import Refused, trim
from model.data.images import MAX_BYTES
from model.errors import StudioError
from model.inference.engines.precision import Precision
from model.inference.options import Flips, Scale
from model.inference.segmenter import Segmentation

logger = logging.getLogger(__name__)

NOT_UPLOADED = (
    "The picture is not there: upload it first, as gradio_client's handle_file and "
    "/gradio_api/upload do, or send it as a data URL."
)


def told(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Errors for the user reach the caller as sentences; of any other one only that it was."""

    @functools.wraps(function)
    async def wrapper(*arguments: Any) -> Any:
        try:
            return await function(*arguments)
        except ValidationError as error:
            raise Refused(wrong_arguments(error.errors())) from error
        except StudioError as error:
            raise Refused(without_folders(error)) from error
        except Exception as error:
            logger.exception("Gradio's API failed")
            raise Refused(OURS) from error

    return wrapper


@told
async def segment(
    picture: FileData,
    model: str | None = None,
    precision: Precision | None = None,
    classes: list[str] | None = None,
    flips: Flips = "none",
    zooms: list[float] | None = None,
    threshold: float | None = None,
    minimum_area: int = 0,
    scale: Scale = "trained",
    tile: int | None = None,
) -> tuple[FileData, FileData, dict]:
    """Segment a picture: say for every pixel what is seen there.

    Args:
        picture: The picture file: PNG, JPEG, WebP, TIFF, BMP and others.
        model: A name that the tool models lists; by default the one that is marked there.
        precision: Arithmetic of the network; auto takes the fastest that costs next to nothing.
        classes: Names of the classes in the overlay; by default all but background.
        flips: Test-time augmentation: also look at the mirrored picture, average.
        zooms: Test-time augmentation: also look at it magnified by these factors, 0.25 to 4.
        threshold: For two classes: a pixel is of the second one where that is more probable.
        minimum_area: Smaller regions, in pixels, go to the largest region beside them.
        scale: native looks at every pixel of a large picture, which takes longer.
        tile: Side of tiles in pixels, a multiple of 32; times the largest zoom at most 1536.

    Returns:
        a PNG of the picture's size whose pixel values are class ids
        a PNG with the classes drawn over the picture
        what was found: each class with its share of the picture and mean confidence
    """
    asked = {
        **{"model": model, "precision": precision, "classes": classes, "flips": flips},
        **{"zooms": zooms or [], "threshold": threshold, "minimum_area": minimum_area},
        **{"scale": scale, "tile": tile},
    }
    try:
        return await _segmented(picture, Wishes.model_validate(asked))
    finally:
        # Also of a refused call, whose picture is there by now.
        await anyio.to_thread.run_sync(trim, Path(get_upload_folder()))


async def _segmented(picture: FileData, wishes: Wishes) -> tuple[dict, dict, dict]:
    path, name = _uploaded(picture)
    with models.QUEUE.job("api"):
        task = await task_for(wishes, [Output.mask, Output.overlay, JSON])

        def work() -> tuple[Segmentation, tuple[dict, dict, dict]]:
            with open(path, "rb") as file:
                content = file.read(MAX_BYTES + 1)
            result, ((_, mask), (_, overlay), (_, found)) = task.run(content, name)
            stem = Path(name).stem
            kept = _kept(mask, f"{stem}-mask.png"), _kept(overlay, f"{stem}-overlay.png")
            return result, (*kept, json.loads(found))

        result, answer = await models.QUEUE.run("api", work, task.seconds)
    metrics.observe(result)
    return answer


@told
async def list_the_models() -> dict:
    """List the models that pictures can be segmented with.

    Returns:
        the models: name, classes, how good each is on which data, licence; one is the default
    """
    return (await anyio.to_thread.run_sync(list_models)).model_dump(mode="json")


list_the_models.__name__ = "models"  # what MCP calls it


def add_to_page() -> None:
    """Names the functions, within the page's `gr.Blocks`.

    They do without Gradio's queue: ours is the one that counts. With Gradio's, its MCP endpoint
    would also call this server through the network, at the address that a caller gives.
    """
    for function, name in ((segment, "segment"), (list_the_models, "models")):
        gr.api(function, api_name=name, queue=False, concurrency_limit=None)


def _uploaded(picture: Any) -> tuple[Path, str]:
    """File and name of an upload. Raises `StudioError` for whatever else a caller named.

    Gradio looks at paths itself only where they come in the form that it expects.
    """
    named = picture if isinstance(picture, dict) else {}
    try:
        path = Path(named["path"]).resolve(strict=True)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise StudioError(NOT_UPLOADED) from error
    if not path.is_relative_to(Path(get_upload_folder()).resolve()) or not path.is_file():
        raise StudioError(NOT_UPLOADED)
    name = named.get("orig_name")
    return path, base_name(name if isinstance(name, str) else path.name)


def _kept(content: bytes, name: str) -> dict[str, Any]:
    """A result in Gradio's folder, under a name that only who has it can know."""
    path = save_bytes_to_cache(content, name, get_upload_folder())
    return FileData(path=path, orig_name=name, mime_type="image/png").model_dump()
