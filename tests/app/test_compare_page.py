"""The compare page: its logic through Streamlit's `AppTest`, its look in a real browser."""

from __future__ import annotations

import csv
import io
import json
import os
import pickle
import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from model import writing
from model.checkpoints import folder, zoo
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.data import streets
from model.data.datasets import DATA_ROOT_VARIABLE
from model.errors import ImageError

SCRIPT = Path(__file__).resolve().parents[2] / "app" / "compare_page.py"
SCRATCH, WIDE, PETS = "streets-scratch", "streets-wide", "pets-scratch"


@pytest.fixture
def shelf(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `weights/` folder of this test's own, with scores of ten pictures for each model.

    On every picture `streets-wide` is ahead by 0.2, give or take 0.01.
    """
    root = tmp_path / "weights"
    shutil.copytree(weights, root)
    for name, mean in ((SCRATCH, 0.5), (WIDE, 0.7)):
        rows = [
            [f"{480 + i:06d}", *[mean + (0.01 if i % 2 else -0.01) * (name == WIDE)] * 3]
            for i in range(10)
        ]
        with open(root / name / folder.PER_IMAGE_FILE, "w", newline="") as file:
            csv.writer(file).writerows([["name", "mean_iou", "mean_dice", "accuracy"], *rows])
        figures = {"f32": {"confusion_matrix": np.diag([9] * 7).tolist()}}
        figures["f32"]["confusion_matrix"][0][1] = 1 if name == WIDE else 9
        writing.write_json(root / name / folder.METRICS_FILE, {"splits": {"test": figures}})
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(root))
    monkeypatch.setenv(DATA_ROOT_VARIABLE, str(tmp_path / "no data"))
    return root


@pytest.fixture
def at_the_machine(monkeypatch):
    """The visitor sits at the machine that the page runs on."""
    sit(monkeypatch, here=True)


@pytest.fixture
def from_elsewhere(monkeypatch):
    """The visitor comes over the network."""
    sit(monkeypatch, here=False)


def sit(monkeypatch: pytest.MonkeyPatch, *, here: bool) -> None:
    from app.compare import catalogue, labelling, pictures, price, turns

    for module in (catalogue, labelling, pictures, price, turns):
        monkeypatch.setattr(module, "is_local", lambda: here)


def change(path: Path, section: str, **values) -> None:
    """Changes a section of a checkpoint's description."""
    file = path / folder.DESCRIPTION_FILE
    description = json.loads(file.read_text())
    description[section] |= values
    writing.write_json(file, description)


def open_page(**query: str) -> AppTest:
    page = AppTest.from_file(SCRIPT, default_timeout=600)
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


def panels_of(page: AppTest) -> dict:
    """What the panels are given, {} where there are none."""
    found = page.get("bidi_component")
    return json.loads(found[0].proto.json) if found else {}


def titles_of(page: AppTest) -> list[str]:
    return [panel["title"] for panel in panels_of(page)["panels"]]


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
    assert "scores higher on 10 of 10 pictures" in said
    assert page.query_params == {"data": "streets", "models": f"{SCRATCH},{WIDE}"}


def test_every_question_has_its_section(shelf, at_the_machine):
    page = open_page()
    assert [one.value for one in page.header] == [
        "Learning", "Where", "On a picture", "Price", "Take it away",
    ]  # fmt: skip
    assert page.button(key="measure").label.startswith("Measure time")


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
    assert open_page(models=PETS).selectbox(key="data").value == "pets"


def test_a_study_of_small_data_is_drawn_for_its_data_set(shelf, make_study):
    data = json.loads((shelf / SCRATCH / folder.DESCRIPTION_FILE).read_text())["data"]
    own = {key: data[key] for key in ("name", "title", "digest", "split_digest")}
    studies = {
        "streets-a": make_study(None, {25: (0.4, 0.5), 80: (0.7,)}, **own),
        "streets-b": make_study("mobilenet_v2", {25: (0.75, 0.8), 80: (0.9,)}, **own),
        "pets-a": make_study(None, {25: (0.1,), 80: (0.2,)}),
    }
    for name, study in studies.items():
        (shelf / "studies" / f"{name}.json").write_text(study.model_dump_json())
    (shelf / "studies" / "torn.json").write_text("{")
    page = open_page(models=f"{SCRATCH},{WIDE}")
    assert "With fewer training pictures" in [one.value for one in page.subheader]
    (sentence,) = (one.value for one in page.markdown if "training pictures" in one.value)
    assert "77.5 % mean Dice, U-Net from scratch does not reach with 80 in as many" in sentence
    specifications = [json.loads(one.proto.spec) for one in page.get("vega_lite_chart")]
    (curve,) = (s for s in specifications if "Mean Dice on the test part" in json.dumps(s))
    dots = [row for layer in curve["layer"] for row in layer["data"]["values"] if "seed" in row]
    assert sorted(row["dice"] for row in dots) == [0.4, 0.5, 0.7, 0.75, 0.8, 0.9]
    said = text(page)
    assert "Left out: the study torn. torn.json is not JSON" in said
    assert "Each dot is a training" in said
    assert "With fewer training pictures" not in [
        one.value for one in open_page(data="pets").subheader
    ]


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
    assert "Disagreement" not in titles_of(page)
    run(models_of(page).set_value([]))
    assert "Choose two models or more" in text(page)


def test_no_checkpoints_at_all(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
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
    assert "Where" not in [one.value for one in page.header]
    assert not page.get("download_button")


def test_models_with_other_classes_are_shown_side_by_side_only(shelf):
    file = shelf / WIDE / folder.DESCRIPTION_FILE
    file.write_text(file.read_text().replace('"sky"', '"clouds"'))
    page = open_page()
    assert "know different classes" in text(page)
    run(page.button_group(key="kind").set_value("Examples"))
    assert titles_of(page)[0] == "Picture"
    assert len(titles_of(page)) == 3  # and a panel for each model
    assert "What to label next" not in page.button_group(key="kind").options


def test_run_without_figures_and_history(shelf):
    """As a training leaves it that was stopped in its first epoch."""
    for file in (folder.METRICS_FILE, folder.PER_IMAGE_FILE, folder.HISTORY_FILE):
        (shelf / WIDE / file).unlink()
    change(shelf / WIDE, "training", epochs=60, epochs_done=7)
    page = open_page()
    said = text(page)
    assert "Nothing to compare yet" in said
    assert "streets-wide has no figures on the test split" in said
    assert "streets-wide has no curves" in said
    assert "is at epoch 7 of 60" in said
    assert any("epoch 7 of 60" in option for option in models_of(page).options)


@pytest.mark.parametrize(
    "content",
    [b"", b"epoch,val_iou\n1,0.5\n2,0.", b"\xff\xfe\x00", b"a\n1\n"],
    ids=["empty", "cut", "binary", "other columns"],
)
def test_half_written_histories(shelf, content):
    (shelf / WIDE / folder.HISTORY_FILE).write_bytes(content)
    (shelf / WIDE / folder.PER_IMAGE_FILE).write_bytes(content)
    assert "with unknown certainty" in text(open_page())


@pytest.mark.parametrize("content", ["{}", '{"splits": []}', '{"splits": {"test": {"f32": 1}}}'])
def test_damaged_metrics(shelf, content):
    (shelf / WIDE / folder.METRICS_FILE).write_text(content)
    assert "Nothing to compare yet" in text(open_page())


def test_model_deleted_while_the_page_is_open(shelf):
    page = open_page()
    shutil.rmtree(shelf / WIDE)
    run(page)
    assert models_of(page).value == [SCRATCH]


def test_a_run_that_ends_while_the_page_is_drawn_appears_by_itself(shelf, monkeypatch):
    from app.compare import opening

    file = shelf / WIDE / folder.METRICS_FILE
    figures = file.read_text()
    file.unlink()
    judge, headlines = opening.judge, []

    def judge_slowly(models):
        if not headlines:
            file.write_text(figures)
        verdict = judge(models)
        headlines.append(verdict.headline)
        return verdict

    monkeypatch.setattr(opening, "judge", judge_slowly)
    page = open_page()
    assert "Nothing to compare yet" in headlines[0]
    assert "is better by" in text(page)


def test_data_set_whose_last_model_is_deleted(shelf):
    page = open_page(data="pets")
    shutil.rmtree(shelf / PETS)
    run(page)
    assert page.selectbox(key="data").value == "streets"
    assert models_of(page).value == [SCRATCH, WIDE]


def test_damaged_weights_spare_the_other_models(shelf):
    (shelf / WIDE / folder.WEIGHTS_FILE).write_bytes(b"not weights")
    page = open_page()
    assert "streets-wide cannot be opened" in page.error[0].value
    assert titles_of(page) == ["Picture", "U-Net from scratch · streets-scratch", "Truth", "Errors"]


def test_runs_of_the_working_directory_appear_beside_the_bundled_models(shelf, monkeypatch):
    monkeypatch.chdir(shelf.parent)
    shutil.copytree(shelf / WIDE, shelf.parent / "runs" / "first")
    shutil.copytree(shelf / WIDE, shelf.parent / "runs" / "study" / "limit-40")
    page = open_page(models=f"{SCRATCH},runs/first")
    assert models_of(page).value == [SCRATCH, "runs/first"]
    assert len(models_of(page).options) == 4
    shutil.rmtree(shelf.parent / "runs" / "first")
    run(page)
    assert models_of(page).value == [SCRATCH]


def test_a_run_that_is_gone_is_not_taken_for_a_model_of_the_hub(shelf, at_the_machine):
    page = open_page(models=f"{SCRATCH},runs/gone")
    assert not page.text_input(key="typed model").value


def test_a_folder_elsewhere_can_be_added(shelf, tmp_path, at_the_machine):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(shelf / WIDE, elsewhere)
    page = open_page()
    page.text_input(key="typed model").set_value(str(elsewhere))
    run(page.button[0].click())
    assert models_of(page).value == [SCRATCH, WIDE, str(elsewhere)]
    # A reload asks for no second click.
    again = open_page(models=f"{SCRATCH},{elsewhere}")
    assert models_of(again).value == [SCRATCH, str(elsewhere)]
    page.text_input(key="typed model").set_value(str(tmp_path / "gone"))
    run(page.button[0].click())
    assert "There is no" in page.error[0].value
    page.text_input(key="typed model").set_value("pets")
    run(page.button[0].click())
    assert "neither a folder's path nor owner/name" in page.error[0].value


def test_a_link_opens_nothing_of_its_own(shelf, tmp_path, at_the_machine, monkeypatch):
    """Anybody can make one: what it names is only put into the field, and opened by a click."""
    opened: list[str] = []
    find = zoo.find
    monkeypatch.setattr(zoo, "find", lambda name: opened.append(name) or find(name))
    others = [str(tmp_path / name) for name in ("one", "two")]
    for other in others:
        shutil.copytree(shelf / WIDE, other)
    page = open_page(models=f"evil/huge,{SCRATCH},{others[0]},{others[1]}")
    assert not opened
    assert models_of(page).value == [SCRATCH]
    assert page.text_input(key="typed model").value == "evil/huge"
    assert page.expander[0].proto.expanded
    # After a reload they still wait.
    assert page.query_params["models"] == f"{SCRATCH},evil/huge,{others[0]},{others[1]}"
    # Each in its turn, and none that somebody typed over.
    page.text_input(key="typed model").set_value(others[0])
    run(page.button[0].click())
    assert models_of(page).value == [SCRATCH, others[0]]
    assert page.text_input(key="typed model").value == others[0]
    run(page.button[0].click())
    assert "evil/huge" not in opened
    run(page.text_input(key="typed model").set_value(""))
    assert page.text_input(key="typed model").value == others[1]


def test_other_visitors_cannot_name_folders(shelf, tmp_path, from_elsewhere):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(shelf / WIDE, elsewhere)
    page = open_page(models=f"{SCRATCH},{elsewhere}")
    assert models_of(page).value == [SCRATCH]
    assert not page.text_input


def test_pictures_come_with_truth_errors_and_disagreement(shelf):
    page = open_page()
    assert titles_of(page) == [
        "Picture",
        "U-Net from scratch · streets-scratch",
        "U-Net from scratch · streets-wide",
        "Truth",
        "Errors",
        "Errors",
        "Disagreement",
    ]
    assert "Shown: test picture 000481 of Streets" in text(page)


def test_pictures_start_with_the_largest_difference_and_go_on(shelf):
    file = shelf / WIDE / folder.PER_IMAGE_FILE
    file.write_text(file.read_text().replace("000484,0.69", "000484,0.99"))
    page = open_page()
    assert "Shown: test picture 000484" in text(page)
    back, forth = (
        next(b for b in page.button if b.label == label) for label in ("Previous", "Next")
    )
    assert back.disabled
    run(forth.click())
    assert "Shown: test picture 000481" in text(page)
    run(next(b for b in page.button if b.label == "Previous").click())
    assert "Shown: test picture 000484" in text(page)


def test_pictures_can_be_ordered_by_a_models_score(shelf):
    file = shelf / WIDE / folder.PER_IMAGE_FILE
    file.write_text(file.read_text().replace("000486,0.69", "000486,0.12"))
    page = open_page()
    order = next(box for box in page.selectbox if box.label == "Order")
    assert [option.split(" of ")[0] for option in order.options] == [
        "Largest difference",
        *("Lowest score", "Highest score") * 2,
        "Most disagreement",
    ]
    run(order.set_value("Lowest score of U-Net from scratch · streets-wide"))
    assert "Shown: test picture 000486" in text(page)


def test_pictures_can_be_ordered_by_disagreement(shelf, monkeypatch):
    """Once they were segmented, which somebody has to ask for; one that fails stops no other."""
    from app.compare import sources
    from model.data.datasets import DATA_SETS

    of_split = sources.of_split

    def one_is_damaged(data, name):
        if name == "000483":
            raise ImageError("000483.png is damaged.")
        return of_split(data, name)

    page = open_page()
    order = next(box for box in page.selectbox if box.label == "Order")
    run(order.set_value("Most disagreement"))
    names = [f"{i:06d}" for i in range(480, 484)]
    monkeypatch.setattr(DATA_SETS["streets"], "names", lambda self, part: names)
    with monkeypatch.context() as patched:
        patched.setattr(sources, "of_split", one_is_damaged)
        run(page.button(key="measure disagreement").click())
    assert page.warning[0].value == "000483 is left out. 000483.png is damaged."
    run(page)
    assert page.button(key="measure disagreement").label.startswith("Segment the other 1 ")
    run(page.button(key="measure disagreement").click())
    shown = panels_of(page)["panels"][-1]
    assert shown["title"] == "Disagreement"
    table = next(f.value for f in page.dataframe if "Disagreement" in f.value.columns)
    shares = table["Disagreement"].to_list()
    assert sum(share == share for share in shares) == 4  # the others were not measured
    assert shares[:4] == sorted(shares[:4], reverse=True)
    assert shown["note"].replace("\N{NO-BREAK SPACE}", " ") == f"{shares[0]:.1f} % of pixels"


def test_disagreement_of_models_without_scores(shelf, monkeypatch):
    """As of two trainings that go on: the pictures are the data set's own."""
    from model.data.datasets import DATA_SETS

    for name in (SCRATCH, WIDE):
        for file in (folder.METRICS_FILE, folder.PER_IMAGE_FILE):
            (shelf / name / file).unlink()
    names = [f"{i:06d}" for i in range(480, 483)]
    monkeypatch.setattr(DATA_SETS["streets"], "names", lambda self, part: names)
    page = open_page()
    order = next(box for box in page.selectbox if box.label == "Order")
    assert order.options == ["Most disagreement"]
    assert "Shown: test picture 000480" in text(page)
    run(page.button(key="measure disagreement").click())
    table = next(f.value for f in page.dataframe if "Disagreement" in f.value.columns)
    assert sorted(table["Picture"]) == names
    assert table["Disagreement"].is_monotonic_decreasing
    assert f"Shown: test picture {table['Picture'][0]}" in text(page)


def test_scores_of_pictures_that_are_not_here(shelf):
    for name in (SCRATCH, WIDE):
        change(shelf / name, "data", split_digest="older")
    page = open_page()
    assert page.button_group(key="kind").value == "Examples"
    run(page.button_group(key="kind").set_value("Test pictures"))
    assert "The pictures themselves are not here" in text(page)
    assert not panels_of(page)


def test_examples_need_no_data_set(shelf):
    page = run(open_page().button_group(key="kind").set_value("Examples"))
    assert "Shown: a street drawn from seed" in text(page)


def test_pets_have_photographs_without_truth(shelf):
    page = open_page(data="pets")
    assert "Shown: gradio's example cheetah1.jpg" in text(page)
    assert "Truth" not in titles_of(page)


def test_own_picture(shelf):
    page = open_page()
    run(page.button_group(key="kind").set_value("Your own"))
    assert not panels_of(page)
    image = streets.draw(3, (200, 100))[0]
    run(page.file_uploader(key="upload").set_value(("street.png", png(image), "image/png")))
    assert panels_of(page)["panels"][0]["note"] == "200 by 100 pixels"
    assert "Shown: your own picture street.png" in text(page)
    assert "Truth" not in titles_of(page)


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
    assert not panels_of(page)


def test_what_to_label_next_is_where_models_disagree_most(shelf, tmp_path, at_the_machine):
    unlabelled = tmp_path / "unlabelled"
    unlabelled.mkdir()
    for seed in range(3):
        Image.fromarray(streets.draw(seed, (160, 120))[0]).save(unlabelled / f"{seed}.png")
    (unlabelled / "torn.png").write_bytes(b"torn")
    page = run(open_page().button_group(key="kind").set_value("What to label next"))
    page.text_input(key="unlabelled").set_value(str(unlabelled))
    run(next(b for b in page.button if b.label == "Rank").click())
    table = next(f.value for f in page.dataframe if "Disagreement" in f.value.columns)
    assert sorted(table["Picture"]) == ["0", "1", "2"]
    assert table["Disagreement"].is_monotonic_decreasing
    assert "torn is left out" in text(page)
    assert f"Shown: the file {table['Picture'][0]}.png" in text(page)
    shown = panels_of(page)["panels"][-1]["note"].replace("\N{NO-BREAK SPACE}", " ")
    assert shown == f"{table['Disagreement'][0]:.1f} % of pixels"


def ranked(page: AppTest) -> list[str]:
    """Names of the ranked pictures."""
    found = [f.value for f in page.dataframe if "Disagreement" in f.value.columns]
    return sorted(found[0]["Picture"]) if found else []


def test_dropped_pictures_are_kept_by_the_uploader_alone(shelf, from_elsewhere, monkeypatch):
    """What is there counts towards the bound on uploads; once it is taken away, so is its row."""
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

    page = run(open_page().button_group(key="kind").set_value("What to label next"))
    assert not page.text_input
    files = [
        (f"{seed}.png", png(streets.draw(seed, (160, 120))[0]), "image/png") for seed in (11, 12)
    ]
    page.file_uploader(key="unlabelled files").set_value(files)
    run(next(b for b in page.button if b.label == "Rank").click())
    assert ranked(page) == ["11.png", "12.png"]
    assert "Shown: your own picture" in text(page)
    kept = pickle.dumps(page.session_state["ranking"])
    assert len(kept) < min(len(content) for _, content, _ in files)
    # Browsers have a file deleted at once; the form's value names it until the next "Rank".
    gone, add_file = ["11.png"], MemoryUploadedFileManager.add_file
    monkeypatch.setattr(
        MemoryUploadedFileManager,
        "add_file",
        lambda self, session, file: file.name in gone or add_file(self, session, file),
    )
    assert ranked(run(page)) == ["12.png"]
    gone.append("12.png")
    assert ranked(run(page)) == []
    assert "Name a folder or drop pictures" in text(page)


def test_so_many_pictures_are_not_ranked(shelf, from_elsewhere, monkeypatch):
    from app.compare import labelling

    monkeypatch.setattr(labelling, "MOST_FILES", 1)
    page = run(open_page().button_group(key="kind").set_value("What to label next"))
    file = ("a.png", png(streets.draw(13, (160, 120))[0]), "image/png")
    page.file_uploader(key="unlabelled files").set_value([file, file])
    run(next(b for b in page.button if b.label == "Rank").click())
    assert "These are 2 pictures; at most 1 are ranked at once" in page.error[0].value
    assert ranked(page) == []


def test_a_folder_that_is_not_there(shelf, tmp_path, at_the_machine):
    page = run(open_page().button_group(key="kind").set_value("What to label next"))
    page.text_input(key="unlabelled").set_value(str(tmp_path / "gone"))
    run(next(b for b in page.button if b.label == "Rank").click())
    assert "does not exist" in page.error[0].value


def test_price_is_measured_when_asked(shelf, at_the_machine, monkeypatch):
    from app.compare import price
    from model.evaluation.cost import SIZES_WH, Cost, Latency

    asked: list[list[str]] = []

    def measure(segmenters, progress):
        asked.append(list(segmenters))
        progress(1.0)
        latency = {size: Latency(12.5, 10, 20) for size in SIZES_WH}
        return {name: Cost(10**9, latency, 2**20, "openvino", "f32") for name in segmenters}

    monkeypatch.setattr(price, "measure", measure)
    page = open_page()
    run(page.button(key="measure").click())
    assert asked == [[SCRATCH, WIDE]]
    table = next(f.value for f in page.dataframe if "640 x 480" in f.value.columns)
    assert table["640 x 480"].to_list() == [12.5, 12.5]
    assert "models taking turns" in text(page)
    run(models_of(page).set_value([WIDE, SCRATCH]))
    assert "640 x 480" not in {c for f in page.dataframe for c in f.value.columns}


def test_a_measurement_beside_others(shelf, at_the_machine, monkeypatch):
    """It says so; without a place it says why not, and when to come again."""
    from app import models
    from app.compare import price
    from model.evaluation.cost import SIZES_WH, Cost, Latency

    def measure(segmenters, progress):
        progress(1.0)
        latency = {size: Latency(12.5, 10, 20) for size in SIZES_WH}
        return {name: Cost(10**9, latency, 2**20, "openvino", "f32") for name in segmenters}

    monkeypatch.setattr(price, "measure", measure)
    page = open_page()
    disturbed = "Others' pictures were segmented meanwhile"
    run(page.button(key="measure").click())
    assert disturbed not in text(page)
    with models.QUEUE.job("api"):
        run(page.button(key="measure").click())
    assert disturbed in text(page)


def test_networks_that_change_during_the_measurement_have_not_been_measured(
    shelf, at_the_machine, monkeypatch
):
    from app.compare import price
    from model.evaluation.cost import SIZES_WH, Cost, Latency

    def measure(segmenters, progress):
        os.utime(shelf / WIDE / folder.WEIGHTS_FILE, (1, 1))
        latency = {size: Latency(12.5, 10, 20) for size in SIZES_WH}
        return {name: Cost(10**9, latency, 2**20, "openvino", "f32") for name in segmenters}

    monkeypatch.setattr(price, "measure", measure)
    page = open_page()
    run(page.button(key="measure").click())
    assert page.button(key="measure").label.startswith("Measure time")
    assert "640 x 480" not in {c for f in page.dataframe for c in f.value.columns}


def test_a_measurement_without_a_place(shelf, at_the_machine, monkeypatch):
    from app import models

    page = open_page()
    monkeypatch.setitem(models.QUEUE.places, "page", 0)
    run(page.button(key="measure").click())
    said = " ".join(error.value for error in page.error)
    assert re.search(r"cannot be measured. The server is busy: .* Ask again in \d+ s", said)


def test_other_visitors_cannot_measure(shelf, from_elsewhere):
    """It takes all cores for minutes, and processes that no queue knows of."""
    page = open_page()
    assert "measured only for whoever sits at this machine" in text(page)
    assert "measure" not in [button.key for button in page.button]


def test_every_view_of_where(shelf, weights):
    """Old checkpoints say what they lack; those of today have all of it."""
    for source, missing in ((shelf, True), (weights, False)):
        page = open_page()
        for view in ("Confusion", "Contours", "Objects", "Confidence"):
            run(page.button_group(key="where").set_value(view))
            assert ("scored before this was measured" in text(page)) == (
                missing and view != "Confusion"
            )
        for name in (SCRATCH, WIDE):
            if source is shelf:
                shutil.rmtree(shelf / name)
                shutil.copytree(weights / name, shelf / name)


def test_smoothing_and_time(shelf):
    page = open_page()
    run(page.button_group(key="x").set_value("minutes"))
    run(page.slider(key="smoothing").set_value(50))
    charts = [json.loads(c.proto.spec) for c in page.get("vega_lite_chart")]
    assert "smooth" in json.dumps(charts[0])
    assert "minutes of training" in json.dumps(charts[0])


def test_the_report_has_the_smoothing_of_the_page(shelf, monkeypatch):
    """Its slider redraws the curves alone: the button stays as it was when the page was drawn."""
    from app.compare import takeaway
    from model.evaluation.report.document import Report

    offered: list[Callable[[], str]] = []
    monkeypatch.setattr(
        takeaway.st, "download_button", lambda label, data, *_, **__: offered.append(data)
    )
    monkeypatch.setattr(Report, "html", lambda self: f"smoothed by {self.smoothing}")
    page = open_page()
    report = offered[0]
    assert report() == "smoothed by 0.0"
    run(page.slider(key="smoothing").set_value(60))
    assert report() == "smoothed by 0.6"


def test_models_are_opened_once(shelf, monkeypatch):
    """The page uses the pool that the other front ends use, and asks it once per picture."""
    from app import models

    opened: list[str] = []
    get: Callable = models.POOL.get
    monkeypatch.setattr(models.POOL, "get", lambda c: opened.append(c.name) or get(c))
    page = open_page()
    run(page.slider(key="smoothing").set_value(20))
    assert opened == [SCRATCH, WIDE]
    assert {SCRATCH, WIDE} <= set(models.POOL.open_models())


def open_in_browser(page, path: str = "compare/") -> None:
    """Waits until the panels are painted."""
    page.goto(path)
    page.locator(".panels[data-shown]").wait_for()


@pytest.mark.browser
def test_switching_checkpoints_in_the_browser(page):
    open_in_browser(page)
    tiles = page.locator(".tile")
    assert tiles.count() == 2
    page.wait_for_function(
        "document.querySelectorAll('[data-testid=stVegaLiteChart] svg, "
        "[data-testid=stVegaLiteChart] canvas').length >= 6"
    )
    assert "models=streets-scratch%2Cstreets-wide" in page.url
    page.get_by_label("Remove U-Net from scratch · streets-wide").first.click()
    page.get_by_text("Choose two models or more").wait_for()
    assert tiles.count() == 1
    assert page.url.endswith("models=streets-scratch")


@pytest.mark.browser
def test_panels_move_together_in_the_browser(page):
    """Zoom, opacity and class filter apply to all of them at once, without the server."""
    open_in_browser(page)
    canvases = page.locator(".panel canvas")
    assert canvases.count() == 7

    def painted() -> list[str]:
        return canvases.evaluate_all("all => all.map(one => one.toDataURL())")

    def changed(before: list[str]) -> list[bool]:
        return [old != new for old, new in zip(before, painted(), strict=True)]

    first = painted()
    assert len(set(first)) == 7
    canvases.nth(1).dblclick()
    assert page.locator(".panels").get_attribute("data-view").startswith("2.000")
    assert changed(first) == [True] * 7
    page.get_by_role("button", name="Whole picture").click()
    page.mouse.move(0, 0)
    assert changed(first) == [False] * 7
    page.locator(".bar input[type=range]").fill("0")
    picture, *_, truth, one, other, differ = painted()
    assert picture == truth  # only the pale ones lie on another picture
    assert one == other == differ
    page.locator(".bar input[type=range]").fill("100")
    page.get_by_role("button", name="None").click()
    assert painted()[:4] == [picture] * 4
    page.get_by_role("button", name="All classes").click()
    assert len(set(painted())) == 7


@pytest.mark.browser
def test_view_stays_from_picture_to_picture(page):
    open_in_browser(page)
    shown = page.locator(".panels").get_attribute("data-shown")
    page.locator(".panel canvas").first.dblclick()
    page.get_by_role("button", name="Next").click()
    page.locator(f".panels:not([data-shown='{shown}'])").wait_for()
    assert page.locator(".panels").get_attribute("data-view").startswith("2.000")
    page.get_by_text("2 of ", exact=False).first.wait_for()


@pytest.mark.browser
def test_pixels_are_read_by_keys(page):
    open_in_browser(page)
    said = page.locator(".panels [role=status]")
    assert "Drag to move" in said.text_content()
    canvas = page.locator(".panel canvas").first
    canvas.focus()
    page.keyboard.press("ArrowRight")
    assert "truth: " in said.text_content().lower()
    page.keyboard.press("+")
    before = page.locator(".panels").get_attribute("data-view")
    for _ in range(30):
        page.keyboard.press("ArrowDown")
    assert page.locator(".panels").get_attribute("data-view") != before  # it follows the cross


@pytest.mark.browser
def test_own_picture_in_the_browser(page, tmp_path):
    file = tmp_path / "street.png"
    file.write_bytes(png(streets.draw(3, (200, 100))[0]))
    page.goto("compare/")
    page.get_by_text("Your own").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_text("Shown: your own picture street.png").wait_for()
    page.get_by_text("200 by 100 pixels").wait_for()
    assert page.locator(".panel canvas").count() == 4  # picture, two models, disagreement
    assert page.locator(".legend tbody tr").count() >= 1


@pytest.mark.browser
def test_report_and_tables_are_downloaded(page, tmp_path):
    open_in_browser(page)
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report").click()
    report = tmp_path / "report.html"
    waiting.value.save_as(report)
    assert waiting.value.suggested_filename == "comparison-streets.html"
    html = report.read_text()
    assert html.count("<svg") >= 8
    assert "http" not in html.replace("http://www.w3.org", "")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Tables").click()
    waiting.value.save_as(tmp_path / "tables.zip")
    with zipfile.ZipFile(tmp_path / "tables.zip") as archive:
        assert {"protocol.txt", "scores.csv", "pictures.csv"} <= set(archive.namelist())


@pytest.mark.browser
def test_time_is_measured_in_the_browser(page):
    open_in_browser(page, "compare/?models=streets-scratch")
    page.get_by_role("button", name="Measure time and memory on this machine").click()
    page.get_by_role("button", name="Measure again").wait_for(timeout=60_000)
    page.get_by_text("Latency: median wall time").wait_for()


@pytest.mark.browser
def test_what_a_link_names_is_added_by_a_click(page, weights, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(weights / WIDE, elsewhere)
    open_in_browser(page, f"compare/?models={SCRATCH},{elsewhere}")
    assert page.locator(".tile").count() == 1
    field = page.get_by_label("Folder or owner/name")
    field.wait_for()  # its box is open
    assert field.input_value() == str(elsewhere)
    page.get_by_role("button", name="Add").click()
    page.locator(".tile").nth(1).wait_for()
    assert f"models={SCRATCH}%2C%2F" in page.url


@pytest.mark.browser
def test_pages_link_to_each_other(page):
    page.goto("compare/")
    page.get_by_role("link", name="Segment a picture").click()
    page.wait_for_url(re.compile(r"//[^/]+/$"))


@pytest.mark.browser
def test_phone_does_not_scroll_sideways(page):
    page.set_viewport_size({"width": 390, "height": 844})
    open_in_browser(page)
    widest = page.evaluate("document.querySelector('.stMain').scrollWidth")
    assert widest <= 390
