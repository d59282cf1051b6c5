"""The segment page's answers to its events, without a browser: test_segment_page.py has one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import threading
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import FileData
from PIL import Image

from app import models, overlay, segment_page
from app.segment import many, views
from app.segment.desk import Desk
from app.segment.examples import Example
from app.segment_page import NOT_TAKEN_IN, TRUTH_NOT_TAKEN_IN, SegmentPage
from model.checkpoints import folder
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.data.datasets import DATA_SETS
from model.data.streets import draw
from model.inference.segmenter import Segmentation

STREETS = "streets-scratch"
HERE = SimpleNamespace(client=None, headers={}, session_hash="me")
ELSEWHERE = SimpleNamespace(client=None, headers={"x-forwarded-for": "10.0.0.1"}, session_hash="me")


@pytest.fixture(scope="module")
def page(weights, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WEIGHTS_VARIABLE, str(weights))
        folder = tmp_path_factory.mktemp("page")
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
        yield SegmentPage(folder)


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """What toasts say."""
    said: list[str] = []
    for kind in ("Warning", "Info"):
        monkeypatch.setattr(gr, kind, lambda text, **_: said.append(text))
    return said


def silent(*_: Any) -> None:
    pass


def answer(page: SegmentPage, event: str, *arguments: Any, request=HERE) -> dict[str, Any]:
    """What an event changes, by the names of the page's components."""
    names = {id(component): name for name, component in vars(page.layout).items()}
    updates = getattr(page, event)(*arguments, request, silent)
    return {names[id(component)]: value for component, value in updates.items()}


def given(page: SegmentPage, desk: Desk | None, model: str | None, **values: Any) -> dict:
    """What an event brings: what is chosen on the page, by component."""
    before = desk or Desk(Path(), "")
    values = {**asdict(before.chosen), "second": before.second, **values}
    values = {"status": "shown" if desk else "", **values, "desk": desk, "model": model}
    return {getattr(page.layout, name): value for name, value in values.items()}


def ask(page: SegmentPage, event: str, *state: Any, request=HERE, **values: Any) -> dict[str, Any]:
    """As `answer`, for an event that brings what is chosen on the page."""
    return answer(page, event, given(page, *state, **values), request=request)


def written(folder: Path, name: str, seed: int) -> Path:
    Image.fromarray(draw(seed, (64, 48))[0]).save(folder / name)
    return folder / name


@pytest.fixture
def desk(tmp_path) -> Desk:
    """With two pictures that were brought."""
    folder = tmp_path / "brought"
    folder.mkdir()
    pictures = [Example(name, written(folder, name, 1)) for name in ("a.png", "b.png")]
    return Desk(pictures[0].path, "a.png", pictures=tuple(pictures), model="pets-scratch")


def test_pictures_are_not_opened_again_for_another_model(page, desk, monkeypatch):
    def decoded(entry: Example) -> str:
        raise AssertionError(f"{entry.title} is opened again")

    monkeypatch.setattr(views, "thumbnail", decoded)
    changed = ask(page, "on_choice", desk, STREETS)
    assert "examples" not in changed
    assert changed["desk"].model == STREETS


def test_the_first_picture_that_can_be_opened_is_shown(page, tmp_path, said):
    paths = [tmp_path / "IMG_1.heic", written(tmp_path, "b.png", 1), written(tmp_path, "c.png", 2)]
    paths[0].write_bytes(b"no picture")
    files = [FileData(path=str(path), orig_name=path.name) for path in paths]
    changed = ask(page, "on_upload", None, STREETS, upload=files)
    assert changed["desk"].name == "b.png"
    assert [entry.title for entry in changed["desk"].pictures] == ["b.png", "c.png"]
    assert changed["examples"].count("data-example") == 2
    assert "IMG_1.heic" in said[0]


def test_an_upload_that_fails_leaves_nothing_unpacked(page, desk, tmp_path, monkeypatch):
    archive = shutil.make_archive(str(tmp_path / "both"), "zip", desk.path.parent)
    cache = Path(page.layout.upload.GRADIO_CACHE)
    before = set(cache.rglob("*"))

    def fail(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(page, "_show", fail)
    files = [FileData(path=archive, orig_name="both.zip")]
    with pytest.raises(gr.Error):
        ask(page, "on_upload", None, STREETS, upload=files)
    assert set(cache.rglob("*")) == before


@pytest.mark.parametrize("request_", [HERE, ELSEWHERE], ids=["here", "elsewhere"])
def test_a_link_opens_and_fetches_nothing_by_itself(page, monkeypatch, said, request_):
    def fetched(model: str) -> None:
        raise AssertionError(f"{model} is opened")

    monkeypatch.setattr(models.zoo, "find", fetched)
    changed = answer(page, "on_load", {"model": "evil/<b>huge</b>"}, request=request_)
    assert changed["desk"].model == "pets-scratch"
    here = request_ is HERE
    assert changed.get("named", "") == ("evil/<b>huge</b>" if here else "")
    assert ("facts_fold" in changed) == here
    assert "evil/&lt;b&gt;" in said[0]


def test_a_link_opens_what_was_added_by_a_click(page, weights, tmp_path, said):
    mine = str(shutil.copytree(weights / STREETS, tmp_path / "mine"))
    assert answer(page, "on_load", {"model": mine})["desk"].model == "pets-scratch"
    assert ask(page, "on_add", None, "pets-scratch", named=mine)["desk"].model == mine
    again = answer(page, "on_load", {"model": mine})
    assert (again["desk"].model, "named" in again) == (mine, False)
    # For who sits here.
    assert answer(page, "on_load", {"model": mine}, request=ELSEWHERE)["desk"].added == ()


def test_added_models_that_are_gone_leave_the_menu(page, weights, tmp_path, said, desk):
    gone = shutil.copytree(weights / STREETS, tmp_path / "gone")
    desk = ask(page, "on_add", desk, "pets-scratch", named=str(gone))["desk"]
    assert desk.added == (str(gone),)
    shutil.rmtree(gone)
    # The choice goes back to what made the picture, as far as that is there.
    assert page.on_failure(desk, HERE) == gr.skip()
    changed = ask(page, "on_choice", desk, "streets-wide")
    assert changed["desk"].model == "streets-wide"
    assert changed["desk"].added == ()
    assert "gone" in said[0]
    labels = np.asarray(Image.open(changed["desk"].mask))
    assert labels.shape == (48, 64)


MENUS = {"model", "facts", "examples", "another", "second", "flips"}
"""Some of what a page needs besides the segmentation."""


def uploaded(path: Path) -> list[FileData]:
    return [FileData(path=str(path), orig_name=path.name)]


class Held:
    """A function that waits, the first time, until it is told to go on."""

    def __init__(self, function: Any) -> None:
        self.function = function
        self.reached, self.go = threading.Event(), threading.Event()

    def __call__(self, *arguments: Any) -> Any:
        if not self.reached.is_set():
            self.reached.set()
            assert self.go.wait(60)
            arguments[-1].check()
        return self.function(*arguments)


@pytest.fixture
def held(monkeypatch):
    """Runs something while an event waits in a function whose last argument is its watch; gives
    what the event answers, an error too."""

    def held(module: Any, function: str, event: Any, meanwhile: Any) -> Any:
        wait = Held(getattr(module, function))
        monkeypatch.setattr(module, function, wait)
        answers: list[Any] = []

        def run() -> None:
            try:
                answers.append(event())
            except gr.Error as error:
                answers.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        assert wait.reached.wait(60)
        try:
            meanwhile()
        finally:
            wait.go.set()
        thread.join(60)
        return answers[0]

    return held


@pytest.fixture
def compared(page, desk) -> Desk:
    """A desk with a second model and a true mask."""
    desk = ask(page, "on_upload", None, STREETS, upload=uploaded(desk.path))["desk"]
    desk = ask(page, "on_choice", desk, STREETS, second="streets-wide")["desk"]
    assert desk.second == "streets-wide"
    truth = desk.path.parent / "truth.png"
    Image.fromarray(np.zeros((48, 64), np.uint8)).save(truth)
    return ask(page, "on_truth", desk, STREETS, truth=FileData(path=str(truth)))["desk"]


def test_models_of_other_classes_are_never_compared(page, compared):
    """Another event can follow the choice of a model at once, which cancels that one's own."""
    assert compared.truth
    changed = ask(page, "on_choice", compared, "pets-scratch")
    assert (changed["desk"].second, changed["desk"].truth) == ("", None)
    assert changed["checks"] == ""
    assert "pets-scratch" in changed["facts"]
    changed = ask(page, "on_upload", compared, "pets-scratch", upload=uploaded(compared.path))
    assert changed["desk"].second == ""
    assert "pets-scratch" in changed["facts"]
    # With the same model they stay, and so do choices that may be newer.
    changed = ask(page, "on_choice", compared, STREETS)
    assert changed["desk"].second == "streets-wide"
    assert not {"model", "second", "flips"} & set(changed)


def test_an_event_can_change_what_its_answer_brings(page):
    blocks = page.blocks.fns.values()
    shown = {component._id for component in page.layout.shown()}
    for name in ("on_load", "on_upload", "on_example", "on_choice"):
        (outputs, *_) = [{c._id for c in fn.outputs} for fn in blocks if fn.name == name]
        assert shown <= outputs, name


def test_an_example_of_another_models_strip_can_be_clicked(page):
    """The last street; there are fewer animals."""
    desk = ask(page, "on_choice", None, STREETS)["desk"]
    click = SimpleNamespace(index=3)
    changed = answer(page, "on_example", given(page, desk, "pets-scratch"), click)
    assert changed["desk"].example
    assert changed["desk"].model == "pets-scratch"
    assert "Lion" in changed["examples"]


def first_visit(page: SegmentPage) -> dict[str, Any]:
    return answer(page, "on_load", {"model": STREETS})


@pytest.mark.parametrize("name", [folder.WEIGHTS_FILE, folder.METRICS_FILE])
def test_an_example_is_segmented_again_by_a_network_that_has_changed(
    page, weights, tmp_path, monkeypatch, name
):
    shutil.copytree(weights, tmp_path / "weights")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "weights"))
    rendered = []
    render = segment_page.render
    monkeypatch.setattr(
        segment_page, "render", lambda *given, **more: rendered.append(1) or render(*given, **more)
    )
    for _ in range(2):
        first_visit(page)
    assert len(rendered) == 1
    os.utime(tmp_path / "weights" / STREETS / name, (1, 1))
    first_visit(page)
    assert len(rendered) == 2


def test_a_first_visit_that_is_cancelled_has_its_menus(page, held):
    def cancel() -> None:
        page.on_cancel(HERE)

    changed = held(segment_page, "render_example", lambda: first_visit(page), cancel)
    assert set(changed) >= MENUS
    assert not {"desk", "stage", "panel"} & set(changed)


def test_a_first_visit_has_its_menus_before_what_took_its_place(page, held):
    with contextlib.ExitStack() as stack:

        def begin() -> None:
            stack.enter_context(page.jobs.begin(HERE.session_hash, silent))

        changed = held(segment_page, "render_example", lambda: first_visit(page), begin)
    assert set(changed) >= MENUS
    assert not {"desk", "stage", "panel"} & set(changed)


def test_a_first_visit_does_not_undo_what_came_after_it(page, desk, held):
    newer: list[dict[str, Any]] = []

    def upload() -> None:
        newer.append(ask(page, "on_upload", None, None, upload=uploaded(desk.path)))

    told = held(segment_page, "render_example", lambda: first_visit(page), upload)
    # What is asked for before the menus are there brings them.
    assert set(newer[0]) >= MENUS
    assert isinstance(told, gr.Error)
    assert not told.visible


def test_an_upload_that_something_newer_ends_says_so(page, desk, held):
    def upload() -> Any:
        return ask(page, "on_upload", desk, "pets-scratch", upload=uploaded(desk.path))

    told = held(many, "laid_out", upload, lambda: ask(page, "on_choice", desk, STREETS))
    assert (told.message, told.visible) == (NOT_TAKEN_IN, True)


def test_a_true_mask_that_something_newer_ends_says_so(page, desk, held, tmp_path):
    path = tmp_path / "truth.png"
    Image.new("L", (8, 8)).save(path)
    desk = ask(page, "on_choice", desk, STREETS)["desk"]

    def bring() -> Any:
        return ask(page, "on_truth", desk, STREETS, truth=FileData(path=str(path)))

    told = held(
        segment_page, "render", bring, lambda: ask(page, "on_choice", desk, STREETS, second="")
    )
    assert (told.message, told.visible) == (TRUTH_NOT_TAKEN_IN, True)


def test_a_choice_that_something_newer_ends_counts_for_that(page, desk, held):
    """It stands on the page already."""
    desk = ask(page, "on_choice", desk, STREETS)["desk"]
    newer: list[Desk] = []

    def click() -> None:
        state = given(page, desk, STREETS, flips="both", native=True, second="streets-wide")
        newer.append(answer(page, "on_example", state, SimpleNamespace(index=1))["desk"])

    def choose() -> Any:
        return ask(page, "on_choice", desk, STREETS, flips="both")

    assert not held(segment_page, "render", choose, click).visible
    (shown,) = newer
    assert (shown.name, shown.second) == ("b.png", "streets-wide")
    assert (shown.chosen.flips, shown.chosen.native) == ("both", True)


def test_a_desk_that_the_server_has_forgotten_is_not_replaced_by_an_example(page, desk):
    """Its picture is on the page still."""
    lost = {"status": "shown"}
    truth = FileData(path=str(desk.path))
    for event, more in (("on_choice", {}), ("on_truth", {"truth": truth}), ("on_drop_truth", {})):
        with pytest.raises(gr.Error, match="Choose it again"):
            ask(page, event, None, STREETS, **lost, **more)
    shown = ask(page, "on_upload", None, STREETS, **lost, upload=uploaded(desk.path))["desk"]
    assert (shown.name, shown.example) == ("a.png", False)


def test_what_is_chosen_needs_no_memory_of_what_was_offered(page):
    """Gradio forgets it with the session, when more visitors come than it remembers."""
    assert page.layout.precision.preprocess("int8") == "int8"
    assert page.layout.second.preprocess("streets-wide") == "streets-wide"


def test_a_precision_that_another_model_lacks_is_not_kept(page, desk):
    desk = replace(desk, chosen=replace(desk.chosen, precision="int8"))
    shown = ask(page, "on_choice", desk, STREETS)["desk"]
    assert shown.chosen.precision == "auto"


def test_an_upload_that_is_cancelled_does_not(page, desk, held):
    def upload() -> Any:
        return ask(page, "on_upload", desk, "pets-scratch", upload=uploaded(desk.path))

    told = held(many, "laid_out", upload, lambda: page.on_cancel(HERE))
    assert not told.visible


def test_saving_goes_on_beside_the_choice_of_a_model(page, desk, held):
    desk = ask(page, "on_choice", desk, "streets-wide")["desk"]
    view = {"opacity": 0.5, "hidden": [], "style": "fill"}
    files: list[str] = []

    def save() -> None:
        files.append(page.on_save(desk, view, HERE, silent))

    changed = held(segment_page, "render", lambda: ask(page, "on_choice", desk, STREETS), save)
    assert changed["desk"].model == STREETS
    assert Path(files[0]).is_file()


def test_hidden_classes_that_the_picture_lacks_stay_hidden():
    """Other pictures, or later frames, may have them."""
    classes = DATA_SETS["pets"].classes
    (background,) = {info.id for info in classes} - overlay.shown_at_first(classes)
    labels = np.zeros((4, 4), np.uint8)
    assert background != 0
    segmentation = Segmentation(labels, classes, "some", "torch", "f32")
    (absent,) = re.findall(
        r"<i class=.absent. data-hidden-at-first[^>]*", views.panel("", segmentation)
    )
    assert f'data-id="{background}"' in absent


def test_every_figure_says_how_it_was_measured(weights, tmp_path):
    checkpoint = folder.read(weights / STREETS)
    score = views.percent(checkpoint.figures("test")["mean_iou"])
    protocol = "test split of 2 pictures, original resolution"
    assert f"{score} mean IoU on its {protocol}" in views.knows(checkpoint)
    assert f"{protocol}, {STREETS} in f32" in views.facts(checkpoint)

    foreign = shutil.copytree(weights / STREETS, tmp_path / "foreign")
    metrics = json.loads((foreign / folder.METRICS_FILE).read_text())
    del metrics["splits"]["test"]["f32"]["resolution"]
    (foreign / folder.METRICS_FILE).write_text(json.dumps(metrics))
    for said in (views.knows(folder.read(foreign)), views.facts(folder.read(foreign))):
        assert "unknown resolution" in said
