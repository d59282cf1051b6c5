"""`evaluate --record`: figures of each precision side by side in metrics.json."""

import json
import shutil

import pytest

from model import writing
from model.checkpoints import folder
from model.checkpoints.trained_on import other_split
from model.data import datasets
from model.inference.engines import precision as precisions


@pytest.fixture
def run(trained_run, tmp_path):
    return shutil.copytree(trained_run, tmp_path / "run")


def validation(run) -> dict:
    return json.loads((run / folder.METRICS_FILE).read_text())["splits"]["validation"]


def test_float32_again_gives_the_recorded_figures_and_changes_no_other(run, here):
    before = json.loads((run / folder.METRICS_FILE).read_text())
    code, output, errors = here(
        "evaluate", "--checkpoint", run, "--split", "validation", "--precision", "f32", "--record"
    )
    assert code == 0, errors
    assert "Recorded in" in output
    after = json.loads((run / folder.METRICS_FILE).read_text())
    figures = after["splits"]["validation"]["f32"]
    earlier = before["splits"]["validation"]["f32"]
    assert figures["mean_iou"] == pytest.approx(earlier["mean_iou"], abs=1e-3)
    assert figures["engine"] != earlier["engine"]
    assert figures["digest"] == folder.read(run).digest()
    assert after["splits"]["test"] == before["splits"]["test"]


def test_test_in_float32_is_recorded_picture_by_picture(run, here):
    before = folder.read(run).per_image()
    (run / folder.PER_IMAGE_FILE).unlink()
    code, _, errors = here("evaluate", "--checkpoint", run, "--precision", "f32", "--record")
    assert code == 0, errors
    after = folder.read(run).per_image()
    assert [row["name"] for row in after] == [row["name"] for row in before]
    scores = [[float(row["mean_iou"]) for row in rows] for rows in (before, after)]
    assert scores[1] == pytest.approx(scores[0], abs=5e-3)


@pytest.mark.skipif("bf16" not in precisions.native(), reason="this processor has no bf16")
def test_a_recorded_precision_has_a_price(run, here):
    exact = validation(run)["f32"]
    arguments = ("--split", "validation", "--precision", "bf16", "--record")
    code, output, errors = here("evaluate", "--checkpoint", run, *arguments)
    assert code == 0, errors
    assert "bf16 costs" in output
    assert validation(run)["f32"] == exact
    figures = validation(run)["bf16"]
    assert figures["precision"] == "bf16"
    price = folder.read(run).prices()["bf16"]
    assert price == pytest.approx(100 * (exact["mean_iou"] - figures["mean_iou"]), abs=1e-3)


def test_validation_that_was_learned_from_is_not_recorded(run, here):
    before = (run / folder.METRICS_FILE).read_bytes()
    description = folder.read(run).description
    training = description["training"] | {"include_validation": True}
    writing.write_json(run / folder.DESCRIPTION_FILE, description | {"training": training})
    code, _, errors = here("evaluate", "--checkpoint", run, "--split", "validation", "--record")
    assert code == 2
    assert "has learned from the validation pictures" in errors
    assert (run / folder.METRICS_FILE).read_bytes() == before


def test_figures_of_other_data_are_not_recorded(run, here):
    before = (run / folder.METRICS_FILE).read_bytes()
    path = run / folder.DESCRIPTION_FILE
    description = json.loads(path.read_text())
    description["data"]["digest"] = "0" * 16
    writing.write_json(path, description)
    code, _, errors = here("evaluate", "--checkpoint", run, "--split", "validation", "--record")
    assert code == 2
    assert "--record" in errors
    assert "digest" in errors
    assert (run / folder.METRICS_FILE).read_bytes() == before


def test_pictures_of_another_split_are_warned_of(trained_run):
    checkpoint, data = folder.read(trained_run), datasets.load("streets")
    assert other_split(checkpoint, data) == ""
    data.use_split({part: names[:9] for part, names in data.split.items()}, "a few")
    assert "may have seen these pictures" in other_split(checkpoint, data)
