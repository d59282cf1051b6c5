"""The segment page (Gradio, at /): drop a picture, see and take away its segmentation.

The server segments and hands over files; opacity, views and classes change in the browser
(`segment/stage.js`). What is remembered of a visitor is where Gradio keeps the upload and the
mask made from it; both go when Gradio clears its cache.

    segment/layout.py       what stands on the page; appearance.py is its look
    segment/desk.py         what is remembered of a visitor
    segment/intake.js       pictures in: drop, paste, camera
    segment/many.py         several pictures, zips, films
    segment/offer.py        the models that can be chosen
    segment/options.py      what else can be chosen, and how an address says it
    segment/rendering.py    picture -> what the page shows; views.py is its HTML
    segment/truth.py        a mask that says what should have been found
    segment/downloads.py    files to take home
    segment/jobs.py         progress and cancelling
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache
from gradio_client.utils import strip_invalid_filename_characters

from app import gradio_api, look, models
from app.discretion import without_folders
from app.limits import UPLOADS_SECONDS
from app.queue import PLACES
from app.segment import downloads, many, offer, views
from app.segment.desk import Desk
from app.segment.examples import Example, examples_for
from app.segment.jobs import Jobs, Replaced, Watch
from app.segment.layout import Layout
from app.segment.options import Chosen, checked_precision
from app.segment.rendering import Rendered, render
from app.uploads import trim
from app.visitors import sits_here
from model.checkpoints import zoo
from model.checkpoints.folder import Checkpoint
from model.errors import StudioError
from model.inference.exports import EXPORTS, Picture
from model.inference.segmenter import Cancelled

logger = logging.getLogger(__name__)

PROGRESS = gr.Progress()
"""As a default it asks Gradio for the progress of the event at hand."""

CLEARING_SECONDS = 60
"""Between clearings of Gradio's cache."""

MOST_SESSIONS = 200
"""Visitors whose last page is remembered, each with about a megabyte."""

MOST_EVENTS = 2 * sum(PLACES.values())
"""Events that Gradio handles at a time. What they compute waits in `models.QUEUE`, which tells
those for whom there is no place: here nobody must wait before that, unseen."""

NO_MODELS = (
    "There is no model yet. Train one: python -m model train --data streets --network unet "
    "--output weights/streets-scratch"
)
CLEARED = (
    "Your picture was cleared away, as all are after two hours, or earlier where space is needed. "
    "Choose it again."
)
Updates = dict[Component, Any]
"""What an event changes: a component's new value, or a component of its kind with what is new."""
Given = dict[Component, Any]
"""What an event brings: the components' values on the page."""

NONE_CHOSEN = "There is no segmentation yet. Choose a picture first."
NOT_TAKEN_IN = (
    "Your pictures were not taken in, as something newer was asked for meanwhile: bring them again."
)
TRUTH_NOT_TAKEN_IN = (
    "Your true mask was not taken in, as something newer was asked for meanwhile: bring it again."
)
MOST_NAMES = 10
"""Of files that could not be opened, in a warning."""


def spoken(handler: Callable) -> Callable:
    """Errors for the user become a sentence on the page, any other one is logged as well."""

    @functools.wraps(handler)
    def wrapper(*arguments):
        try:
            return handler(*arguments)
        except Cancelled as error:
            # A failure without words: what it was to change is put back, see `on_failure`.
            raise gr.Error("Cancelled", visible=False, print_exception=False) from error
        except StudioError as error:
            said = views.toast(without_folders(error))
            raise gr.Error(said, title="That did not work", print_exception=False) from error
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
        self.jobs = Jobs()
        self.named: set[str] = set()
        """Folders and Hub ids that somebody at this machine added by a click."""
        self.blocks = self._build()

    def _build(self) -> gr.Blocks:
        with gr.Blocks(
            title=look.TITLE,
            analytics_enabled=False,
            delete_cache=(CLEARING_SECONDS, UPLOADS_SECONDS),
        ) as blocks:
            self.layout = Layout()
            self._connect(blocks)
            gradio_api.add_to_page()
        blocks.state_session_capacity = MOST_SESSIONS
        blocks.max_threads = MOST_EVENTS
        blocks.queue(max_size=MOST_EVENTS, default_concurrency_limit=None)
        # Gradio's own way from upload to function leaves an empty file behind each time.
        page = self.layout
        page.upload.preprocess = page.truth.preprocess = lambda payload: payload
        # Gradio would refuse all but the first choices once it has forgotten a visitor, of whom
        # it remembers what is offered. What is chosen is checked where it is used.
        page.precision.preprocess = page.second.preprocess = lambda payload: payload
        return blocks

    def _connect(self, blocks: gr.Blocks) -> None:
        page = self.layout
        shown, choice = page.shown(), page.choice()
        segmenting = {"show_progress_on": [page.stage], "api_visibility": "private"}
        # Sets: Gradio gives the values by component then. Each event brings every choice as it
        # stands on the page, as an event that a newer one ends leaves its own there.
        asked = {page.desk, page.model, page.second, page.status, *choice}
        latest = {"trigger_mode": "always_last", **segmenting}
        blocks.load(
            self.on_load,
            [page.view],
            [page.named, page.facts_fold, *shown],
            js="() => [Object.fromEntries(new URLSearchParams(location.search))]",
            **segmenting,
        )
        page.upload.upload(
            self.on_upload,
            {page.upload, *asked},
            shown,
            trigger_mode="multiple",
            **segmenting,
        )
        page.examples.select(self.on_example, asked, shown, trigger_mode="multiple", **segmenting)
        for event in (page.model.select, page.second.select, *(c.input for c in choice)):
            event(self.on_choice, asked, shown, **latest).failure(
                self.on_failure,
                [page.desk],
                [page.model, page.second, *choice],
                queue=False,
                show_progress="hidden",
                api_visibility="private",
            )
        page.truth.upload(self.on_truth, {page.truth, *asked}, shown, **segmenting)
        page.drop_truth.click(self.on_drop_truth, asked, shown, **segmenting)
        for event in (page.add.click, page.named.submit):
            event(
                self.on_add,
                {page.named, *asked},
                [page.named, *shown],
                **segmenting,
            )
        page.cancel.click(
            self.on_cancel, queue=False, show_progress="hidden", api_visibility="private"
        )
        blocks.unload(self.on_leave)
        for event, handler, busy, files in (
            (page.save.click, self.on_save, page.save, [page.file]),
            (page.exports.select, self.on_export, page.stage, [page.file]),
            (page.all.click, self.on_all, page.stage, [page.file, page.film, page.found]),
        ):
            event(
                handler,
                [page.desk, page.view],
                files,
                js="(desk) => [desk, window.studioView()]",
                **{**segmenting, "show_progress_on": [busy]},
            ).success(
                None, js="() => setTimeout(() => document.querySelector('#file').click(), 100)"
            )

    @spoken
    def on_load(
        self, query: dict, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> Updates:
        """A first visit shows an example, segmented: what the page does needs no words then."""
        page = self.layout
        default, asked = models.default(), str((query or {}).get("model", ""))
        local = _is_local(request)
        if default is None:
            return {page.stage: views.notice(NO_MODELS)}
        # A link may come from anybody: what it names besides the models here is opened, and fetched
        # from the Hub, only once who sits here has clicked for it.
        known = asked in self.named
        unknown = ""
        try:
            checkpoint = models.find(asked or None, anywhere=local and known)
        except StudioError as error:
            checkpoint = default
            if local and "/" in asked and not known:
                unknown = asked
                where = 'To open it, press Add under "About this model".'
                gr.Info(views.toast(f"The link names {asked}. {where}"))
            else:
                gr.Warning(views.toast(without_folders(error)), title="That model is not here")
        desk = replace(
            self._example(checkpoint, 0),
            chosen=Chosen.from_query(query or {}),
            added=(asked,) if checkpoint.name == asked and "/" in asked else (),
        )
        try:
            shown = self._show(desk, checkpoint, request, progress)
        except Cancelled as error:
            if isinstance(error, Replaced) and not self.jobs.busy(request.session_hash):
                raise  # what took its place is on the page already
            shown = {}
        except StudioError as error:  # another model, or the same one later, may well work
            shown = {page.desk: desk, page.stage: views.notice(without_folders(error))}
        updates = {
            # Asked again at each visit: models may have been trained since the start.
            **self._about(desk, checkpoint, request),
            **shown,
        }
        if unknown:
            updates |= {page.named: unknown, page.facts_fold: gr.Accordion(open=True)}
        return updates

    @spoken
    def on_upload(
        self,
        given: Given,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> Updates:
        desk, checkpoint = self._asked(given, request, anew=True)
        upload = self.layout.upload
        files = [(Path(file.path), _called(file)) for file in given[upload]]
        try:
            with many.removed_on_failure(upload.GRADIO_CACHE) as folder:
                with self._turn(request, progress) as watch:
                    whole = many.brought(files, folder, watch)
                    opened = many.laid_out(whole, watch)
                updates = self._show(
                    _with_choices_of(desk, opened.desk), checkpoint, request, progress
                )
        except Replaced as error:
            raise StudioError(NOT_TAKEN_IN) from error
        # So that Gradio clears away what was unpacked as well.
        upload.temp_files |= {str(entry.path) for entry in whole.pictures} | {str(whole.path)}
        if opened.refused:
            names = _listed(opened.refused)
            gr.Warning(views.toast(f"Left out, as they cannot be opened as pictures: {names}."))
        if opened.thumbnails:
            strip = views.strip(opened.thumbnails, f"Your {len(opened.thumbnails)} pictures")
            updates[self.layout.examples] = strip
        return updates

    @spoken
    def on_example(
        self,
        given: Given,
        event: gr.EventData,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> Updates:
        desk, checkpoint = self._asked(given, request)
        index = int(event.index)
        if desk.pictures:
            entry = desk.pictures[index]
            desk = replace(desk, path=entry.path, name=entry.title, truth=None)
        else:
            desk = self._example(checkpoint, index, desk)
        return self._show(desk, checkpoint, request, progress)

    @spoken
    def on_choice(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> Updates:
        """Another model, a second one or an option."""
        return self._again(given, request, progress)

    @spoken
    def on_truth(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> Updates:
        truth = Path(given[self.layout.truth].path)
        try:
            return self._again(given, request, progress, truth=truth)
        except Replaced as error:
            raise StudioError(TRUTH_NOT_TAKEN_IN) from error

    @spoken
    def on_drop_truth(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> Updates:
        return self._again(given, request, progress, truth=None)

    @spoken
    def on_add(
        self, given: Given, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> Updates:
        """Takes in a model by its folder or Hub id, for somebody at this machine."""
        page = self.layout
        name = given[page.named].strip()
        if "/" not in name:
            raise StudioError(
                f"'{name}' is neither a folder's path nor owner/name: both have a slash."
            )
        given = {**given, page.model: name}
        desk, _ = self._asked(given, request)
        if _is_local(request):
            self.named.add(name)
        if name not in desk.added:
            given[page.desk] = replace(desk, added=(*desk.added, name))
        return {page.named: "", **self._again(given, request, progress)}

    def on_cancel(self, request: gr.Request) -> None:
        self.jobs.cancel(request.session_hash)

    on_leave = on_cancel

    @spoken
    def on_failure(self, desk: Desk | None, request: gr.Request) -> Updates:
        """Puts back the choice that the result on the page was made with, once another one came to
        nothing; but not where a newer wish is being computed already."""
        if desk is None or desk.mask is None or self.jobs.busy(request.session_hash):
            return gr.skip()
        checkpoint = self._made_with(desk, request)
        if checkpoint is None:
            return gr.skip()
        page = self.layout
        return {
            page.model: offer.picked(desk, checkpoint),
            page.second: desk.second,
            **self._options(desk, checkpoint),
        }

    @spoken
    def on_save(
        self,
        desk: Desk | None,
        view: dict[str, Any],
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> str:
        """The overlay as it looks on the page, at the picture's full size."""
        classes = self._find(_segmented(desk).model, request).classes
        with self._turn(request, progress, aside=True):
            content = downloads.overlay_png(desk.path, desk.mask, classes, view)
        return self._file(desk, "overlay.png", content)

    @spoken
    def on_export(
        self,
        desk: Desk | None,
        view: dict[str, Any],
        event: gr.EventData,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> str:
        """One of the other formats, with the classes that the page shows."""
        checkpoint = self._find(_segmented(desk).model, request)
        precision = checked_precision(desk.chosen, checkpoint)
        name = str(event.index)
        ids = downloads.shown(checkpoint.classes, view)
        with self._turn(request, progress, aside=True) as watch:
            segmenter = models.POOL.get(checkpoint, precision=precision)
            picture = Picture.read(desk.path, desk.name)
            content = downloads.export(name, picture, desk.mask, segmenter, desk.chosen, ids, watch)
        return self._file(desk, f"{name}{EXPORTS[name].suffix}", content)

    @spoken
    def on_all(
        self,
        desk: Desk | None,
        view: dict[str, Any],
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> Updates:
        """Masks, overlays and a table of all pictures that were brought, or of the film, which
        also plays on the page then."""
        checkpoint = self._find(_segmented(desk).model, request)
        precision = checked_precision(desk.chosen, checkpoint)
        ids = downloads.shown(checkpoint.classes, view)
        cache = Path(self.layout.upload.GRADIO_CACHE)
        with (
            many.removed_on_failure(cache) as folder,
            self._job(request, progress, aside=True) as watch,
            models.QUEUE.job("batch"),
        ):
            segmenter = models.POOL.get(checkpoint, precision=precision)
            target = folder / "segmented.zip"
            made = many.segment_all(desk, segmenter, ids, target, watch)
        trim(cache)
        for reason in made.failed[:3]:
            gr.Warning(views.toast(without_folders(reason)), title="Left out")
        page = self.layout
        updates = {page.file: str(target)}
        if made.film is not None and not watch.replaced:  # else the page shows something else now
            updates[page.film] = gr.Video(value=str(made.film), visible=True)
            updates[page.found] = views.found(made.legend, made.frames)
        return updates

    def _asked(
        self, given: Given, request: gr.Request, *, anew: bool = False
    ) -> tuple[Desk, Checkpoint]:
        """The desk with what is chosen on the page now; an example of ours where there is none
        yet.

        Args: anew: whether it does not matter what was on the desk.
        Raises: `StudioError` if the server has forgotten what the page shows.
        """
        page = self.layout
        if given[page.desk] is None and given[page.status] and not anew:
            raise StudioError(CLEARED)
        checkpoint = self._find(given[page.model], request)
        values = {field.name: given[getattr(page, field.name)] for field in fields(Chosen)}
        desk = given[page.desk] or self._example(checkpoint, 0)
        return replace(
            desk, chosen=Chosen.from_query(values), second=given[page.second] or ""
        ), checkpoint

    def _again(
        self, given: Given, request: gr.Request, progress: gr.Progress, **changes: Any
    ) -> Updates:
        """The same picture with something else about it."""
        desk, checkpoint = self._asked(given, request)
        desk = replace(self._suiting(desk, checkpoint, request), **changes)
        return self._show(desk, checkpoint, request, progress)

    def _suiting(self, desk: Desk, checkpoint: Checkpoint, request: gr.Request) -> Desk:
        """The desk for another model, which any event may bring: the choice of the model is
        cancelled where another event follows it at once."""
        if desk.model == checkpoint.name:
            return desk
        desk = offer.without_gone(desk)
        if desk.example and desk.path not in [e.path for e in self._strip(checkpoint)]:
            return self._example(checkpoint, 0, desk)
        before = self._made_with(desk, request)
        if desk.model and (not before or before.classes.names != checkpoint.classes.names):
            return replace(desk, truth=None)  # it is of another table of classes
        return desk

    def _find(self, model: str, request: gr.Request) -> Checkpoint:
        # Without one, the page's first event has not come through.
        return models.find(str(model) if model else None, anywhere=_is_local(request))

    def _made_with(self, desk: Desk, request: gr.Request) -> Checkpoint | None:
        """The model that made the segmentation on the desk; None if there is none, or no more."""
        with contextlib.suppress(StudioError):
            return self._find(desk.model, request) if desk.model else None
        return None

    def _job(
        self, request: gr.Request, progress: gr.Progress, *, aside: bool = False
    ) -> contextlib.AbstractContextManager[Watch]:
        def tell(done: float) -> None:
            progress(done, "Segmenting")

        return self.jobs.begin(request.session_hash, tell, aside=aside)

    @contextlib.contextmanager
    def _turn(
        self, request: gr.Request, progress: gr.Progress, *, aside: bool = False
    ) -> Iterator[Watch]:
        """A visitor's place and turn in the one queue, for all that takes time or memory."""
        with (
            self._job(request, progress, aside=aside) as watch,
            models.QUEUE.job("page"),
            models.QUEUE.turn("page", watch.cancelled),
        ):
            yield watch

    def _example(self, checkpoint: Checkpoint, index: int, desk: Desk | None = None) -> Desk:
        entries = self._strip(checkpoint)
        entry = entries[min(index, len(entries) - 1)]  # another model's strip may be longer
        new = Desk(entry.path, entry.title, example=True)
        return replace(_with_choices_of(desk, new), model=desk.model) if desk else new

    def _strip(self, checkpoint: Checkpoint) -> list[Example]:
        return examples_for(checkpoint, self.folder)

    def _about(self, desk: Desk, checkpoint: Checkpoint, request: gr.Request) -> Updates:
        """What the page says of a model and offers with it."""
        page, local = self.layout, _is_local(request)
        updates = {
            page.model: offer.picked(desk, checkpoint),
            page.facts: views.facts(checkpoint),
            page.another: gr.Row(visible=local),
            page.second: gr.Dropdown(
                choices=offer.seconds(desk, checkpoint, anywhere=local), value=desk.second
            ),
            **self._options(desk, checkpoint),
        }
        if not desk.pictures:  # those stand in the strip since they were brought
            updates[page.examples] = views.examples(tuple(self._strip(checkpoint)))
        return updates

    def _options(self, desk: Desk, checkpoint: Checkpoint) -> Updates:
        return dict(zip(self.layout.choice(), offer.choice(desk, checkpoint), strict=True))

    def _show(
        self, desk: Desk, checkpoint: Checkpoint, request: gr.Request, progress: gr.Progress
    ) -> Updates:
        if not desk.path.exists():
            raise StudioError(CLEARED)
        # The model may lack the precision that was chosen with another one.
        precision = checked_precision(desk.chosen, checkpoint) or "auto"
        desk = replace(desk, chosen=replace(desk.chosen, precision=precision))
        seconds = offer.seconds(desk, checkpoint, anywhere=_is_local(request))
        if desk.second not in dict(seconds).values():  # it is of another table of classes
            desk = replace(desk, second="")
        second = self._find(desk.second, request) if desk.second else None
        if desk.example and not second and not desk.truth and not desk.added:
            with self._job(request, progress) as watch:
                rendered = render_example(desk, checkpoint, watch)
        else:
            with self._turn(request, progress) as watch:
                rendered = render(desk, checkpoint, second, watch)
        mask = self._file(desk, "mask.png", rendered.mask)
        # Where it stays the same, choices are left alone: newer ones may have been made meanwhile.
        about = {} if desk.model == checkpoint.name else self._about(desk, checkpoint, request)
        desk = replace(desk, mask=Path(mask), model=checkpoint.name)
        page = self.layout
        return {
            page.desk: desk,
            page.stage: rendered.stage,
            page.status: rendered.status,
            page.panel: rendered.panel,
            page.checks: rendered.checks,
            page.mask: gr.DownloadButton(value=mask, interactive=True),
            page.save: gr.Button(interactive=True),
            page.all: gr.Button(_all_text(desk), visible=bool(desk.pictures or desk.film)),
            page.drop_truth: gr.Button(visible=desk.truth is not None),
            # They were of another picture, or of other options.
            page.film: gr.Video(value=None, visible=False),
            page.found: "",
            **about,
        }

    def _file(self, desk: Desk, ending: str, content: bytes) -> str:
        folder = self.layout.mask.GRADIO_CACHE
        file = save_bytes_to_cache(content, f"{desk.path.stem}-{ending}", folder)
        trim(Path(folder))
        return file


def _is_local(request: gr.Request) -> bool:
    return sits_here(request.client.host if request.client else None, request.headers)


def _called(file: FileData) -> str:
    """What a visitor calls a file, in letters that a file name may have."""
    name = strip_invalid_filename_characters(Path(file.orig_name or "").name)
    return name or Path(file.path).name


def _listed(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def _with_choices_of(desk: Desk, new: Desk) -> Desk:
    return replace(new, chosen=desk.chosen, second=desk.second, added=desk.added)


def _segmented(desk: Desk | None) -> Desk:
    """The desk, if a picture with a mask is on it, both still there. Raises `StudioError`."""
    if desk is None or desk.mask is None:
        raise StudioError(NONE_CHOSEN)
    if not (desk.mask.exists() and desk.path.exists()):
        raise StudioError(CLEARED)
    return desk


def _all_text(desk: Desk) -> str:
    if desk.film:
        return "Segment the whole film and save it"
    return f"Segment all {len(desk.pictures)} and save them"


def render_example(desk: Desk, checkpoint: Checkpoint, watch: Watch) -> Rendered:
    """As `render`, remembered: every visit begins with an example."""
    bare = Desk(desk.path, desk.name, example=True, chosen=desk.chosen)
    changed = zoo.version(checkpoint.path)
    return _render_example(_Example(bare, checkpoint.name, changed, watch))


@dataclass(frozen=True)
class _Example:
    """What is remembered, whoever watches."""

    desk: Desk
    model: str
    changed: tuple
    watch: Watch = field(compare=False)


@functools.lru_cache(maxsize=16)
def _render_example(example: _Example) -> Rendered:
    watch = example.watch
    with models.QUEUE.job("page"), models.QUEUE.turn("page", watch.cancelled):
        return render(example.desk, models.find(example.model), watch=watch)
