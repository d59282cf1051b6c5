"""The compare page: its logic through Streamlit's `AppTest`, its look in a real browser."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from model.checkpoints import folder
from model.checkpoints.folder import WEIGHTS_VARIABLE
from model.data import datasets, splits, streets
from model.data.datasets import DATA_ROOT_VARIABLE

SCRIPT = Path(__file__).resolve().parents[2] / "app" / "compare_page.py"
SCRATCH, WIDE, PETS = "streets-scratch", "streets-wide", "pets-scratch"


@pytest.fixture
def shelf(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `weights/` folder of this test's own, with scores of ten pictures for each model.

    On every picture `streets-wide` is ahead by 0.2, give or take 0.01.
    """
    root = tmp_path / "weights"
    shutil.copytree(weights, root)
    digest = splits.digest(datasets.load("streets").split)
    for name, mean in ((SCRATCH, 0.5), (WIDE, 0.7)):
        change(root / name, "data", split_digest=digest)
        rows = [
            [f"{480 + i:06d}", *[mean + (0.01 if i % 2 else -0.01) * (name == WIDE)] * 3]
            for i in range(10)
        ]
        with open(root / name / folder.PER_IMAGE_FILE, "w", newline="") as file:
            csv.writer(file).writerows([["name", "mean_iou", "mean_dice", "accuracy"], *rows])
        figures = {"f32": {"confusion_matrix": np.diag([9] * 7).tolist()}}
        figures["f32"]["confusion_matrix"][0][1] = 1 if name == WIDE else 9
        folder.write_json(root / name / folder.METRICS_FILE, {"splits": {"test": figures}})
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(root))
    monkeypatch.setenv(DATA_ROOT_VARIABLE, str(tmp_path / "no data"))
    return root


def change(path: Path, section: str, **values) -> None:
    """Changes a section of a checkpoint's description."""
    file = path / folder.DESCRIPTION_FILE
    description = json.loads(file.read_text())
    description[section] |= values
    folder.write_json(file, description)


def open_page(**query: str) -> AppTest:
    page = AppTest.from_file(SCRIPT, default_timeout=60)
    for name, value in query.items():
        page.query_params[name] = value
    return run(page)


def run(changed) -> AppTest:
    """Runs the page, or the page of a widget that was changed."""
    page = changed.run()
    assert not page.exception, page.exception
    return page


def text(page: AppTest) -> str:
    """What the page says, without markup."""
    parts = [e.body for e in page.html if not e.body.startswith("<style>")]
    for kind in (page.caption, page.warning, page.error, page.info):
        parts += [e.value for e in kind]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", "\n".join(parts)))


def models_of(page: AppTest, data: str = "streets"):
    return page.multiselect(key=f"models of {data}")


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def test_first_visit_compares_the_first_data_set_with_two_models(shelf):
    page = open_page()
    assert page.selectbox(key="data").value == "streets"  # "pets" has but one model
    assert models_of(page).value == [SCRATCH, WIDE]
    said = text(page)
    assert "U-Net from scratch · streets-wide is better by" in said
    assert "ahead by 20.0 points on average" in said
    assert "higher on 10 of 10 pictures" in said
    assert page.query_params == {"data": "streets", "models": f"{SCRATCH},{WIDE}"}


def test_scratch_and_pretrained_are_preselected(shelf):
    shutil.copytree(shelf / WIDE, shelf / "streets-a")
    change(shelf / WIDE, "encoder", name="resnet34", pretrained=True)
    page = open_page()
    assert models_of(page).value == ["streets-a", WIDE]
    assert "ResNet34 (pretrained)" in text(page)


def test_link_opens_its_choice(shelf):
    page = open_page(data="streets", models=f"{WIDE},gone,{SCRATCH}")
    assert models_of(page).value == [WIDE, SCRATCH]
    assert open_page(data="pets").selectbox(key="data").value == "pets"
    assert open_page(data="gone").selectbox(key="data").value == "streets"


def test_another_data_set_can_be_chosen(shelf):
    page = open_page()
    run(page.selectbox(key="data").set_value("pets"))
    assert models_of(page, "pets").value == [PETS]
    assert "Choose two models or more" in text(page)
    run(page.selectbox(key="data").set_value("streets"))
    assert models_of(page).value == [SCRATCH, WIDE]


def test_one_model_and_none(shelf):
    page = open_page(models=SCRATCH)
    assert "Choose two models or more" in text(page)
    run(models_of(page).set_value([]))
    assert "Choose two models or more" in text(page)


def test_no_checkpoints_at_all(tmp_path, monkeypatch):
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path))
    assert "no model to compare yet" in text(open_page())


def test_damaged_checkpoints_are_named(shelf):
    assert "Left out: broken." in text(open_page())


def test_mismatched_data_are_refused(shelf):
    change(shelf / WIDE, "data", split_digest="another")
    page = open_page()
    said = text(page)
    assert "These models cannot be compared" in said
    assert "different splits" in said
    assert "better by" not in said
    assert not page.dataframe


def test_models_with_other_classes_are_shown_side_by_side_only(shelf):
    file = shelf / WIDE / folder.DESCRIPTION_FILE
    file.write_text(file.read_text().replace('"sky"', '"clouds"'))
    page = open_page()
    said = text(page)
    assert "know different classes" in said
    assert "Share of the picture" in said
    for panel in ("Truth", "Errors", "Disagreement"):
        assert panel not in said
    assert len(page.get("image")) == 3


def test_run_without_figures_and_history(shelf):
    """As a training leaves it that was stopped in its first epoch."""
    for file in (folder.METRICS_FILE, folder.PER_IMAGE_FILE, folder.HISTORY_FILE):
        (shelf / WIDE / file).unlink()
    said = text(open_page())
    assert "Nothing to compare yet" in said
    assert "streets-wide has no figures on the test split" in said
    assert "streets-wide has no curves" in said


@pytest.mark.parametrize(
    "content",
    [b"", b"epoch,val_iou\n1,0.5\n2,0.", b"\xff\xfe\x00", b"a\n1\n"],
    ids=["empty", "cut", "binary", "other columns"],
)
def test_half_written_histories(shelf, content):
    (shelf / WIDE / folder.HISTORY_FILE).write_bytes(content)
    (shelf / WIDE / folder.PER_IMAGE_FILE).write_bytes(content)
    assert "is unknown" in text(open_page())


@pytest.mark.parametrize("content", ["{}", '{"splits": []}', '{"splits": {"test": {"f32": 1}}}'])
def test_damaged_metrics(shelf, content):
    (shelf / WIDE / folder.METRICS_FILE).write_text(content)
    assert "Nothing to compare yet" in text(open_page())


def test_model_deleted_while_the_page_is_open(shelf):
    page = open_page()
    shutil.rmtree(shelf / WIDE)
    run(page)
    assert models_of(page).value == [SCRATCH]


def test_damaged_weights_spare_the_other_models(shelf):
    (shelf / WIDE / folder.WEIGHTS_FILE).write_bytes(b"not weights")
    page = open_page()
    assert "streets-wide cannot be opened" in page.error[0].value
    assert "Share of the picture" in text(page)


def test_pictures_come_with_truth_errors_and_disagreement(shelf):
    page = open_page()
    said = text(page)
    for panel in ("Truth", "Errors", "Disagreement"):
        assert panel in said
    # The picture and two overlays; the truth and two maps of errors; the disagreement.
    assert len(page.get("image")) == 7
    assert "Shown: test picture 000481 of Streets" in said


def test_opacity_and_class_filter_apply_to_all_overlays(shelf):
    """The addresses of pictures on the page are made from their content."""

    def pictures(page: AppTest) -> list[str]:
        return [element.proto.imgs[0].url for element in page.get("image")]

    page = run(open_page().slider(key="opacity").set_value(100))
    picture, *overlays, truth = pictures(page)[:4]
    assert len({picture, *overlays, truth}) == 4
    page = run(page.multiselect(key="only streets").set_value(["sky"]))
    assert not {*overlays, truth} & set(pictures(page))
    page = run(page.slider(key="opacity").set_value(0))
    assert pictures(page)[:4] == [picture] * 4


def test_examples_need_no_data_set(shelf):
    page = run(open_page().button_group(key="kind").set_value("Examples"))
    assert "Shown: a street drawn from seed" in text(page)


def test_pets_have_photographs_without_truth(shelf):
    said = text(open_page(data="pets"))
    assert "Shown: gradio's example cheetah1.jpg" in said
    assert "Truth" not in said


def test_own_picture(shelf):
    page = open_page()
    run(page.button_group(key="kind").set_value("Your own"))
    assert "Shown:" not in text(page)
    image = streets.draw(3, (200, 100))[0]
    run(page.file_uploader(key="upload").set_value(("street.png", png(image), "image/png")))
    said = text(page)
    assert "200 by 100 pixels" in said
    assert "Shown: your own picture" in said
    assert "Truth" not in said


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"hello", "is not a picture"),
        (b"", "empty"),
        (png(np.zeros((50, 50, 3), np.uint8))[:60], "damaged"),
    ],
    ids=["text", "empty", "truncated"],
)
def test_bad_upload_gets_a_sentence(shelf, data, sentence):
    page = open_page()
    run(page.button_group(key="kind").set_value("Your own"))
    run(page.file_uploader(key="upload").set_value(("street.png", data, "image/png")))
    assert sentence in page.error[0].value
    assert "Shown:" not in text(page)


def test_test_pictures_start_with_the_largest_difference(shelf):
    file = shelf / WIDE / folder.PER_IMAGE_FILE
    file.write_text(file.read_text().replace("000484,0.69", "000484,0.99"))
    page = open_page()
    options = page.selectbox[1].options
    assert options[0] == "000484 · U-Net from scratch · streets-wide ahead by 49.0 points"
    assert len(options) == 80


def test_test_pictures_of_another_split_are_not_offered(shelf):
    for name in (SCRATCH, WIDE):
        change(shelf / name, "data", split_digest="older")
    assert "Test pictures" not in open_page().button_group(key="kind").options


def test_models_are_opened_once(shelf, monkeypatch):
    """The page uses the pool that the other front ends use, and asks it once per picture."""
    from app import models

    opened: list[str] = []
    original: Callable = models.segmenter
    monkeypatch.setattr(models, "segmenter", lambda c: opened.append(c.name) or original(c))
    page = open_page()
    run(page.slider(key="opacity").set_value(20))
    assert opened == [SCRATCH, WIDE]
    assert {SCRATCH, WIDE} <= set(models.POOL.open_models())


@pytest.mark.browser
def test_switching_checkpoints_in_the_browser(page):
    page.goto("compare/")
    page.get_by_role("heading", name="U-Net").first.wait_for()
    tiles = page.locator(".tile")
    assert tiles.count() == 2
    page.locator("text=Shown:").wait_for()
    page.wait_for_function(
        "document.querySelectorAll('[data-testid=stVegaLiteChart] svg, "
        "[data-testid=stVegaLiteChart] canvas').length >= 5"
    )
    assert "models=streets-scratch%2Cstreets-wide" in page.url
    page.get_by_label("Remove U-Net from scratch · streets-wide").first.click()
    page.get_by_text("Choose two models or more").wait_for()
    assert tiles.count() == 1
    assert page.url.endswith("models=streets-scratch")


@pytest.mark.browser
def test_own_picture_in_the_browser(page, tmp_path):
    file = tmp_path / "street.png"
    file.write_bytes(png(streets.draw(3, (200, 100))[0]))
    page.goto("compare/")
    page.get_by_text("Your own").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text("Shown: your own picture").wait_for()
    page.get_by_text("200 by 100 pixels").wait_for()
    images = page.locator(".st-key-panels img")
    assert images.count() == 4  # the picture, two models, their disagreement
    for index in range(images.count()):
        images.nth(index).scroll_into_view_if_needed()
        assert images.nth(index).evaluate("image => image.naturalWidth") == 200
    assert page.locator(".shares tbody tr").count() >= 1


@pytest.mark.browser
def test_pages_link_to_each_other(page):
    page.goto("compare/")
    page.get_by_role("link", name="Segment a picture").click()
    page.wait_for_url(re.compile(r"//[^/]+/$"))


@pytest.mark.browser
def test_phone_does_not_scroll_sideways(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("compare/")
    page.locator("text=Shown:").wait_for()
    widest = page.evaluate("document.querySelector('.stMain').scrollWidth")
    assert widest <= 390
