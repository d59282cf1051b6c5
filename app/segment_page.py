"""The segment page (Gradio, at /): drop a picture, see and take away its segmentation.

The server segments and hands over files; opacity, views and classes change in the browser
(`segment/page.js`). What is remembered of a visitor is where Gradio keeps the upload and the
mask made from it; both go when Gradio clears its cache.
"""

from __future__ import annotations

import functools
import io
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache
from PIL import Image

from app import look, models, overlay
from app.discretion import without_folders
from app.segment import views
from app.segment.examples import examples_for
from model.checkpoints.folder import Checkpoint
from model.data.images import MAX_BYTES, decode
from model.data.masks import index_png, read_index
from model.errors import StudioError

logger = logging.getLogger(__name__)

PARTS = Path(__file__).parent / "segment"

CACHE_FREQUENCY, CACHE_AGE = 60, 7200
"""Seconds between clearings of Gradio's cache, and the age at which files are deleted."""

MOST_SESSIONS = 200
"""Visitors whose last page is remembered, each with about a megabyte."""

INVITATION = "Drop, paste or choose a picture"
NO_MODELS = (
    "There is no model yet. Train one: python -m model train --data streets --network unet "
    "--output weights/streets-scratch"
)


CLEARED = "Your picture was cleared away, as all are after two hours. Choose it again."

REPORT_EXAMPLE = """element.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-example]");
    if (button) trigger("select", { index: Number(button.dataset.example) });
});"""


@dataclass(frozen=True)
class Desk:
    """What lies on a visitor's desk: a picture, and the mask that was made from it.

    Attributes:
        path: the picture's file, exactly as it was uploaded.
        name: what its owner calls it.
        example: whether it is one of ours.
        mask: the index PNG of its segmentation, None before there is one.
        model: name of the checkpoint that made it.
    """

    path: Path
    name: str
    example: bool = False
    mask: Path | None = None
    model: str = ""


@dataclass(frozen=True)
class Rendered:
    """A segmentation as the page shows it, and its mask as an index PNG."""

    stage: str
    status: str
    panel: str
    mask: bytes


def spoken(handler: Callable) -> Callable:
    """Errors for the user become a sentence on the page, any other one is logged as well."""

    @functools.wraps(handler)
    def wrapper(*arguments):
        try:
            return handler(*arguments)
        except StudioError as error:
            raise gr.Error(
                without_folders(error), title="That did not work", print_exception=False
            ) from error
        except Exception as error:
            logger.exception("The segment page failed")
            raise gr.Error(
                "Something went wrong on our side. Try again, or another picture.",
                title="That did not work",
                print_exception=False,
            ) from error

    return wrapper


class SegmentPage:
    """Builds the page and answers its events.

    Args: folder: for example pictures that are drawn; must outlive the page.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.blocks = self._build()

    def _build(self) -> gr.Blocks:
        with gr.Blocks(
            title=look.TITLE,
            analytics_enabled=False,
            delete_cache=(CACHE_FREQUENCY, CACHE_AGE),
        ) as blocks:
            self.desk = gr.State(None)
            gr.HTML(views.header(), apply_default_css=False)
            self.upload = gr.UploadButton(
                INVITATION, variant="secondary", size="lg", elem_id="upload"
            )
            with gr.Row():
                with gr.Column(scale=7, min_width=340):
                    self.stage = gr.HTML(elem_id="stage", apply_default_css=False)
                    self.status = gr.HTML(elem_id="status", apply_default_css=False)
                    self.examples = gr.HTML(
                        elem_id="examples",
                        apply_default_css=False,
                        js_on_load=REPORT_EXAMPLE,
                    )
                with gr.Column(scale=3, min_width=320):
                    self.model = gr.Dropdown(
                        _choices(), label="Model", elem_id="model", filterable=False
                    )
                    self.panel = gr.HTML(elem_id="panel", apply_default_css=False)
                    with gr.Row():
                        self.mask = gr.DownloadButton(
                            "Save mask", elem_id="mask", interactive=False, min_width=120
                        )
                        self.save = gr.Button(
                            "Save overlay", elem_id="save", interactive=False, min_width=120
                        )
                    self.overlay = gr.DownloadButton(visible="hidden", elem_id="overlay-file")
                    self.view = gr.JSON(visible=False)
            with gr.Accordion("About this model", open=False):
                self.facts = gr.HTML(apply_default_css=False)
            self._connect(blocks)
        blocks.state_session_capacity = MOST_SESSIONS
        blocks.queue(max_size=64, default_concurrency_limit=4)
        # Gradio's own way from upload to function leaves an empty file behind each time.
        self.upload.preprocess = lambda payload: payload
        return blocks

    def _connect(self, blocks: gr.Blocks) -> None:
        shown = [self.desk, self.stage, self.status, self.panel, self.mask, self.save]
        about = [self.examples, self.facts]
        # One picture at a time is computed; a second one may be decoded meanwhile.
        segmenting = {
            "concurrency_id": "segment",
            "concurrency_limit": 2,
            "show_progress_on": [self.stage],
            "api_visibility": "private",
        }
        blocks.load(self.on_load, None, [self.model, *about, *shown], **segmenting)
        self.upload.upload(
            self.on_upload, [self.upload, self.model], shown, trigger_mode="multiple", **segmenting
        )
        self.examples.select(self.on_example, [self.model], shown, **segmenting)
        # Not `input`: a dropdown fires that one twice for each choice.
        self.model.select(
            self.on_model,
            [self.desk, self.model],
            [*about, *shown],
            trigger_mode="always_last",
            **segmenting,
        )
        self.save.click(
            self.on_save,
            [self.desk, self.view],
            [self.overlay],
            js="(desk) => [desk, window.studioView()]",
            show_progress_on=[self.save],
            api_visibility="private",
        ).success(
            None,
            js="() => setTimeout(() => document.querySelector('#overlay-file').click(), 100)",
        )

    @spoken
    def on_load(self) -> list[Any]:
        """A first visit shows an example, segmented: what the page does needs no words then."""
        checkpoint = models.default()
        if checkpoint is None:
            return [gr.skip(), "", "", None, views.notice(NO_MODELS), *[gr.skip()] * 4]
        return [
            # Asked again at each visit: models may have been trained since the start.
            gr.Dropdown(choices=_choices(), value=checkpoint.name),
            *self._about(checkpoint),
            *self._show(self._example(checkpoint, 0), checkpoint),
        ]

    @spoken
    def on_upload(self, file: FileData, model: str) -> list[Any]:
        path = Path(file.path)
        return self._show(Desk(path, file.orig_name or path.name), models.find(model))

    @spoken
    def on_example(self, model: str, event: gr.EventData) -> list[Any]:
        checkpoint = models.find(model)
        return self._show(self._example(checkpoint, int(event.index)), checkpoint)

    @spoken
    def on_model(self, desk: Desk | None, model: str) -> list[Any]:
        """Segments the same picture again; an example gives way to one that suits the model."""
        checkpoint = models.find(model)
        suitable = [entry.path for entry in examples_for(checkpoint, self.folder)]
        if desk is None or (desk.example and desk.path not in suitable):
            desk = self._example(checkpoint, 0)
        return [*self._about(checkpoint), *self._show(desk, checkpoint)]

    @spoken
    def on_save(self, desk: Desk | None, view: dict[str, Any]) -> str:
        """The overlay as it looks on the page, at the picture's full size."""
        if desk is None or desk.mask is None:
            raise StudioError("There is no segmentation yet. Choose a picture first.")
        if not (desk.mask.exists() and desk.path.exists()):
            raise StudioError(CLEARED)
        classes = models.find(desk.model).classes
        labels = read_index(desk.mask).astype(np.uint8)
        shown = {info.id for info in classes} - set(view["hidden"])
        picture = overlay.overlay(decode(desk.path), labels, classes, view["opacity"], shown)
        buffer = io.BytesIO()
        # Level 1 takes a fifth of the time and makes the file a tenth larger.
        Image.fromarray(picture).save(buffer, "PNG", compress_level=1)
        return self._file(desk, "overlay", buffer.getvalue())

    def _example(self, checkpoint: Checkpoint, index: int) -> Desk:
        entry = examples_for(checkpoint, self.folder)[index]
        return Desk(entry.path, entry.title, example=True)

    def _about(self, checkpoint: Checkpoint) -> list[str]:
        entries = examples_for(checkpoint, self.folder)
        return [views.examples(entries), views.facts(checkpoint)]

    def _show(self, desk: Desk, checkpoint: Checkpoint) -> list[Any]:
        if not desk.path.exists():
            raise StudioError(CLEARED)
        rendered = render_example(desk, checkpoint) if desk.example else render(desk, checkpoint)
        mask = self._file(desk, "mask", rendered.mask)
        desk = replace(desk, mask=Path(mask), model=checkpoint.name)
        return [
            desk,
            rendered.stage,
            rendered.status,
            rendered.panel,
            gr.DownloadButton(value=mask, interactive=True),
            gr.Button(interactive=True),
        ]

    def _file(self, desk: Desk, kind: str, content: bytes) -> str:
        name = f"{desk.path.stem}-{kind}.png"
        return save_bytes_to_cache(content, name, self.mask.GRADIO_CACHE)


def _choices() -> list[tuple[str, str]]:
    return [(text, name) for name, text in models.labels(models.catalogue()).items()]


def render(desk: Desk, checkpoint: Checkpoint) -> Rendered:
    """Segments the picture. Raises as `decode` and `Segmenter` do."""
    segmenter = models.segmenter(checkpoint)
    start = time.perf_counter()
    image = decode(desk.path)
    decoding = 1e3 * (time.perf_counter() - start)
    result = segmenter.segment(image, confidence=True)
    result.milliseconds["decode"] += decoding
    key = views.new_key()
    return Rendered(
        stage=views.stage(key, desk.name, image, result),
        status=views.status(models.label(checkpoint), result),
        panel=views.panel(key, result),
        mask=index_png(result.labels, result.classes),
    )


def render_example(desk: Desk, checkpoint: Checkpoint) -> Rendered:
    """As `render`, remembered: every visit begins with an example."""
    return _render_example(desk, checkpoint.name, checkpoint.weights_path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=16)
def _render_example(desk: Desk, model: str, changed: int) -> Rendered:
    return render(desk, models.find(model))


def page_options() -> dict[str, Any]:
    """What `launch` and `mount_gradio_app` are to do alike: the look, and nothing to the public."""
    return {
        "footer_links": [],
        "run_history": False,
        "show_error": False,
        "max_file_size": MAX_BYTES,
        "ssr_mode": False,
        "mcp_server": False,
        "theme": theme(),
        "css_paths": [PARTS / "page.css"],
        "js": (PARTS / "page.js").read_text(encoding="utf-8"),
    }


def theme() -> gr.Theme:
    """The look of `app.look`, without web fonts."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,  # its 700 and 400 are look.ACCENT and ACCENT_DARK
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        font=look.FONT.split(", "),
        font_mono=["ui-monospace", "monospace"],
    ).set(
        body_background_fill=look.BACKGROUND,
        body_text_color=look.TEXT,
        color_accent=look.ACCENT,
        link_text_color=look.ACCENT,
        link_text_color_dark=look.ACCENT_DARK,
        block_background_fill="*body_background_fill",
        block_background_fill_dark="*body_background_fill",
        block_border_width="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        input_background_fill=look.SURFACE,
        button_secondary_background_fill=look.SURFACE,
    )
