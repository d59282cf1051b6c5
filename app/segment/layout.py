"""What stands on the page, and where."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from app.segment import downloads, views
from app.segment.appearance import FOLDER
from app.segment.options import FLIPS, MOST_AREA, TILES

INVITATION = "Drop, paste or choose a picture"

REPORT = """element.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-%s]");
    if (button) trigger("select", { index: button.dataset.%s });
});"""


class Layout:
    """Puts the components on the page, within a `gr.Blocks`, and keeps them by their names."""

    def __init__(self) -> None:
        self.desk = gr.State(None)
        _html(views.header())
        with gr.Row(elem_id="intake"):
            self.upload = gr.UploadButton(
                INVITATION,
                variant="secondary",
                size="lg",
                elem_id="upload",
                file_count="multiple",
                scale=8,
            )
            _html(views.CAMERA, elem_id="camera")
        with gr.Row():
            with gr.Column(scale=7, min_width=300):
                self.stage = _html(elem_id="stage")
                self.cancel = gr.Button("Cancel", elem_id="cancel", size="sm")
                self.status = _html(elem_id="status")
                self.examples = _html(elem_id="examples", js_on_load=_report("example"))
                self.all = gr.Button("", elem_id="all", visible=False)
                self.film = gr.Video(
                    visible=False,
                    elem_id="film",
                    label="The film, segmented",
                    show_label=False,
                    autoplay=True,
                    loop=True,
                    interactive=False,
                    buttons=[],
                )
                self.found = _html(elem_id="found")
            with gr.Column(scale=3, min_width=300):
                self.model = _picker()
                self.panel = _html(elem_id="panel")
                with gr.Row():
                    self.mask = gr.DownloadButton(
                        "Save mask", elem_id="mask", interactive=False, min_width=120
                    )
                    self.save = gr.Button(
                        "Save overlay", elem_id="save", interactive=False, min_width=120
                    )
                self.file = gr.DownloadButton(visible="hidden", elem_id="file")
                self.view = gr.JSON(visible=False)
                self._build_folded()
        with gr.Accordion("About this model", open=False) as self.facts_fold:
            self.facts = _html()
            with gr.Row(visible=False, elem_id="another") as self.another:
                self.named = gr.Textbox(
                    label="Another model: a folder, or owner/name on the Hugging Face Hub",
                    placeholder="/home/me/runs/first, or owner/name@revision",
                    scale=4,
                    max_lines=1,
                )
                self.add = gr.Button("Add", min_width=80)

    def shown(self) -> list[Component]:
        """What a segmentation changes."""
        return [
            *(self.desk, self.stage, self.status, self.panel, self.checks, self.mask, self.save),
            *(self.all, self.drop_truth, self.film, self.found),
            *self.about(),  # where another model made the one before
        ]

    def choice(self) -> list[Component]:
        """The options."""
        return [
            *(self.precision, self.flips, self.native, self.tile),
            *(self.threshold, self.minimum_area),
        ]

    def about(self) -> list[Component]:
        """What depends on the model."""
        return [
            *(self.model, self.examples, self.facts, self.another, self.second),
            *self.choice(),
        ]

    def _build_folded(self) -> None:
        with gr.Accordion("More formats", open=False):
            self.exports = _html(
                views.downloads(downloads.LISTED), elem_id="exports", js_on_load=_report("export")
            )
        with gr.Accordion("Options", open=False):
            self.precision = gr.Radio(label="Precision", elem_id="precision")
            self.flips = gr.Radio(
                list(FLIPS.items()), value="none", label="Look at it", elem_id="flips"
            )
            self.native = gr.Checkbox(label="Look at every pixel", elem_id="native")
            self.tile = gr.Radio(
                list(TILES.items()), value=0, label="Largest tile, pixels", elem_id="tile"
            )
            self.threshold = gr.Slider(
                0.05, 0.95, 0.5, step=0.05, label="Threshold", visible=False, elem_id="threshold"
            )
            self.minimum_area = gr.Slider(
                0,
                MOST_AREA,
                0,
                step=50,
                label="Remove parts smaller than, pixels",
                elem_id="minimum-area",
            )
        with gr.Accordion("Check it", open=False):
            with gr.Row():
                self.truth = gr.UploadButton(
                    "Add the true mask", size="sm", elem_id="truth", min_width=120
                )
                self.drop_truth = gr.Button(
                    "Remove it", size="sm", elem_id="drop-truth", visible=False, min_width=80
                )
            self.second = gr.Dropdown(
                [("None", "")], value="", label="Second model", elem_id="second", filterable=False
            )
            self.checks = _html(elem_id="checks")


def _html(value: str = "", js_on_load: str | None = None, **options: Any) -> gr.HTML:
    return gr.HTML(value, js_on_load=js_on_load, apply_default_css=False, **options)


def _report(what: str) -> str:
    """A script that reports which button with `data-<what>` was clicked."""
    return REPORT % (what, what)


def _picker() -> gr.HTML:
    """The menu of models: a native one, for groups, and for keyboards and phones."""
    return gr.HTML(
        None,
        html_template='<label class="studio-picker"><span>Model</span><select>${menu}</select>'
        "</label>${knows}",
        js_on_load=(FOLDER / "picker.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id="model",
        menu="",
        knows="",
    )
