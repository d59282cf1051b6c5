"""The segment page's answers to its events, without a browser: test_segment_page.py has one."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import FileData
from PIL import Image

from app import models
from app.segment import views
from app.segment.desk import Desk
from app.segment.examples import Example
from app.segment_page import SegmentPage
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.data.streets import draw

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
    changed = answer(page, "on_model", desk, STREETS)
    assert "examples" not in changed
    assert changed["desk"].model == STREETS


def test_the_first_picture_that_can_be_opened_is_shown(page, tmp_path, said):
    paths = [tmp_path / "IMG_1.heic", written(tmp_path, "b.png", 1), written(tmp_path, "c.png", 2)]
    paths[0].write_bytes(b"no picture")
    files = [FileData(path=str(path), orig_name=path.name) for path in paths]
    changed = answer(page, "on_upload", files, None, STREETS)
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
        page.on_upload(files, None, STREETS, HERE, silent)
    assert set(cache.rglob("*")) == before


@pytest.mark.parametrize("request_", [HERE, ELSEWHERE], ids=["here", "elsewhere"])
def test_a_link_opens_and_fetches_nothing_by_itself(page, monkeypatch, said, request_):
    def fetched(model: str) -> None:
        raise AssertionError(f"{model} is opened")

    monkeypatch.setattr(models.zoo, "find", fetched)
    changed = answer(page, "on_load", {"model": "evil/<b>huge</b>"}, request=request_)
    assert changed["desk"].model == "pets-scratch"
    here = request_ is HERE
    assert changed["named"] == ("evil/<b>huge</b>" if here else "")
    assert ("facts_fold" in changed) == here
    assert "evil/&lt;b&gt;" in said[0]


def test_a_link_opens_what_was_added_by_a_click(page, weights, tmp_path, said):
    mine = str(shutil.copytree(weights / STREETS, tmp_path / "mine"))
    assert answer(page, "on_load", {"model": mine})["desk"].model == "pets-scratch"
    assert answer(page, "on_add", None, "pets-scratch", mine)["desk"].model == mine
    again = answer(page, "on_load", {"model": mine})
    assert (again["desk"].model, again["named"]) == (mine, "")
    # For who sits here.
    assert answer(page, "on_load", {"model": mine}, request=ELSEWHERE)["desk"].added == ()


def test_added_models_that_are_gone_leave_the_menu(page, weights, tmp_path, said, desk):
    gone = shutil.copytree(weights / STREETS, tmp_path / "gone")
    desk = answer(page, "on_add", desk, "pets-scratch", str(gone))["desk"]
    assert desk.added == (str(gone),)
    shutil.rmtree(gone)
    # The choice goes back to what made the picture, as far as that is there.
    assert page.on_failure(desk, HERE) == gr.skip()
    changed = answer(page, "on_model", desk, "streets-wide")
    assert changed["desk"].model == "streets-wide"
    assert changed["desk"].added == ()
    assert "gone" in said[0]
    labels = np.asarray(Image.open(changed["desk"].mask))
    assert labels.shape == (48, 64)
