"""The model card says what is recorded, and nothing that is not."""

import shutil
from dataclasses import replace

import pytest

from model import writing
from model.checkpoints import folder, zoo
from model.checkpoints.card import card
from model.checkpoints.cases import apart, describe, ranked
from model.data.classes import ClassTable
from model.data.preprocessing import Preprocessing


@pytest.fixture
def bundled(tmp_path):
    """A copy of a bundled checkpoint, without its weights."""
    source = zoo.find("pets-scratch")
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
    text = card(replace(bundled, metrics={"splits": parts}))
    assert "in points of mean IoU (negative is a gain): bf16 0.120." in text


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
        zoo.find("pets-mobilenet"), preprocessing=Preprocessing(size_policy="crop")
    )
    assert "Its input is RGB as it is, padded" in card(checkpoint)


def test_a_picture_that_is_entirely_void_is_neither_best_nor_worst(bundled):
    rows = [{"name": f"{i}", "mean_iou": score} for i, score in enumerate((0.9, "nan", 0.1, 0.5))]
    writing.write_text(bundled.path / folder.PER_IMAGE_FILE, writing.csv_text(rows))
    assert [row["name"] for row in ranked(bundled)] == ["2", "3", "0"]


@pytest.mark.parametrize(
    ("hits", "predicted", "said"),
    [
        ("60 40 0", "60 40 0", "sky 60 %, sea 40 %; hardly anything wrong"),
        ("60 20 0", "80 20 0",
         "sky 60 %, sea 40 %; it misses 20 of the 40 % sea, mistakes 20 % for sky"),
        ("60 0 0", "99 0 1", "sky 60 %, sea 40 %; it misses 40 of the 40 % sea, mistakes 39 % "
         "for sky, does not find sea, sees boat where there is none"),
    ],
)  # fmt: skip
def test_a_picture_is_described_by_what_it_holds_and_what_went_wrong(hits, predicted, said):
    classes = ClassTable.of([("sky", "#0000c8"), ("sea", "#005a5a"), ("boat", "#5a0000")])
    row = {"name": "1", "mean_iou": "0.5", "hits": hits, "truth": "60 40 0", "predicted": predicted}
    assert describe(row, classes) == said
    del row["hits"]
    assert describe(row, classes) == ""


def test_pictures_of_one_stretch_are_named_after_those_of_others():
    rows = [{"name": n, "sequence": s} for n, s in (("1", "a"), ("2", "a"), ("3", "b"), ("4", ""),
                                                    ("5", ""))]  # fmt: skip
    assert [row["name"] for row in apart(rows, 3)] == ["1", "3", "4"]
    assert [row["name"] for row in apart(rows, 4)] == ["1", "3", "4", "5"]


def test_a_class_of_any_name_has_one_row_of_the_table(bundled):
    named = ClassTable.of([(f"a|b {info.id}", info.colour) for info in bundled.classes])
    rows = [line for line in card(replace(bundled, classes=named)).splitlines() if "a\\|b" in line]
    assert len(rows) == len(named)
    assert {row.replace("\\|", "").count("|") for row in rows} == {7}, "6 columns"


def test_only_what_smp_can_open_is_tagged_so():
    tag = "library_name: segmentation-models-pytorch"
    assert tag in card(zoo.find("pets-mobilenet"))
    assert tag not in card(zoo.find("pets-scratch"))


def test_the_time_is_that_of_a_machine_with_nothing_beside_it(bundled):
    rows = [{"epoch": i, "seconds": s} for i, s in enumerate((60, 60, 3600, 60), start=1)]
    writing.write_text(bundled.path / folder.HISTORY_FILE, writing.csv_text(rows))
    training = bundled.description["training"] | {"epochs_done": 4, "seconds": 3780.0}
    checkpoint = replace(bundled, description=bundled.description | {"training": training})
    assert checkpoint.training_seconds == 240
    (bundled.path / folder.HISTORY_FILE).unlink()
    assert checkpoint.training_seconds == 3780


def test_the_bundled_cards_are_the_generated_ones():
    for checkpoint in zoo.list_bundled()[0]:
        assert (checkpoint.path / folder.CARD_FILE).read_text() == card(checkpoint), checkpoint.name
