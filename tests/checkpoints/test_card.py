"""The model card says what is recorded, and nothing that is not."""

import shutil
from dataclasses import replace

import pytest

from model.checkpoints import folder
from model.checkpoints.card import card, ranked
from model.data.preprocessing import Preprocessing


@pytest.fixture
def bundled(tmp_path):
    """A copy of a bundled checkpoint, without its weights."""
    source = folder.find("pets-scratch")
    ignored = shutil.ignore_patterns(folder.WEIGHTS_FILE, folder.CURVES_FILE)
    path = shutil.copytree(source.path, tmp_path / source.name, ignore=ignored)
    (path / folder.WEIGHTS_FILE).write_bytes(b"")
    return folder.read(path)


def test_the_price_of_a_precision_is_stated_once_it_was_measured(bundled):
    exact = bundled.figures("validation")
    parts = {"validation": {"f32": exact}, "test": {"f32": bundled.figures("test")}}
    plain = replace(bundled, metrics={"splits": parts})
    assert "faster arithmetic" not in card(plain)
    cheaper = exact | {"mean_iou": exact["mean_iou"] - 0.0012, "precision": "bf16"}
    parts["validation"] = {"f32": exact, "bf16": cheaper}
    assert "in points of mean IoU: bf16 0.12." in card(replace(bundled, metrics={"splits": parts}))


def test_the_curves_are_shown_where_they_were_drawn(bundled):
    assert folder.CURVES_FILE not in card(bundled)
    (bundled.path / folder.CURVES_FILE).write_bytes(b"a picture")
    assert f"]({folder.CURVES_FILE})" in card(bundled)


def test_a_model_that_learned_from_validation_says_so(bundled):
    training = bundled.description["training"] | {"include_validation": True}
    text = card(replace(bundled, description=bundled.description | {"training": training}))
    assert "it has learned from the validation split too" in text
    assert "the best mean IoU on the validation split" not in text


def test_the_networks_input_is_described_for_pictures_at_their_own_scale():
    checkpoint = replace(
        folder.find("pets-mobilenet"), preprocessing=Preprocessing(size_policy="crop")
    )
    assert "Its input is RGB as it is, padded" in card(checkpoint)


def test_a_picture_that_is_void_altogether_is_neither_best_nor_worst(bundled):
    rows = [{"name": f"{i}", "mean_iou": score} for i, score in enumerate((0.9, "nan", 0.1, 0.5))]
    folder.write_text(bundled.path / folder.PER_IMAGE_FILE, folder.csv_text(rows))
    assert [row["name"] for row in ranked(bundled)] == ["2", "3", "0"]
