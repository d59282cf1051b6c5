"""The checkpoint folder: what it says, and every damage told with the file it is in."""

import json
import shutil
from dataclasses import replace

import pytest

from model import writing
from model.checkpoints import folder
from model.errors import CheckpointError


@pytest.fixture(scope="module")
def original(make_checkpoint, tmp_path_factory):
    return make_checkpoint(tmp_path_factory.mktemp("folder") / "tiny").path


@pytest.fixture
def tiny(original, tmp_path):
    return shutil.copytree(original, tmp_path / "tiny")


def edit(path, **changes) -> None:
    """Changes keys of a JSON file; `None` removes one."""
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not None}))


def test_a_folder_describes_itself(tiny):
    checkpoint = folder.read(tiny)
    assert checkpoint.name == "tiny"
    assert checkpoint.network_name == "unet"
    assert checkpoint.data_name == "made-up"
    assert len(checkpoint.classes) == 3
    assert checkpoint.preprocessing.longest_side == 64
    assert checkpoint.metrics == {}
    assert checkpoint.history() == []
    assert checkpoint.per_image() == []


@pytest.mark.parametrize("name", ["config.json", "segmentation.json", "model.safetensors"])
def test_a_missing_file_is_named(tiny, name):
    (tiny / name).unlink()
    with pytest.raises(CheckpointError, match=f"tiny has no {name}"):
        folder.read(tiny)


@pytest.mark.parametrize("name", ["config.json", "segmentation.json", "metrics.json"])
@pytest.mark.parametrize("content", [b"", b"{", b'{"a": }', b"\xff\xfe\x00", b"[1, 2]", b"null"])
def test_corrupt_json_is_named(tiny, name, content):
    (tiny / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        folder.read(tiny)


@pytest.mark.parametrize("version", [folder.SCHEMA_VERSION + 1, None, "1"])
def test_another_schema_is_refused(tiny, version):
    edit(tiny / "segmentation.json", schema_version=version)
    with pytest.raises(CheckpointError, match=r"segmentation\.json has schema version .*Update"):
        folder.read(tiny)


CLASS = {"id": 0, "name": "a", "colour": "#000000"}


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": None},
        {"classes": []},
        {"classes": "road"},
        {"classes": [{"id": 0}]},
        {"classes": [{**CLASS, "id": 1}]},
        {"classes": [{**CLASS, "colour": "black"}]},
        {"classes": [{**CLASS, "colour": 0}]},
        {"preprocessing": None},
        {"preprocessing": 5},
        {"preprocessing": {"longest_side": -1}},
        {"preprocessing": {"longest_side": "64"}},
        {"preprocessing": {"longest_side": 64, "colour": "bgr"}},
        {"preprocessing": {"longest_side": 64, "mean": "red"}},
        {"preprocessing": {"longest_side": 64, "std": [0, 0, 0]}},
        {"data": "pets"},
        {"network": ["unet"]},
    ],
)
def test_a_description_that_makes_no_sense_is_named(tiny, changes):
    edit(tiny / "segmentation.json", **changes)
    with pytest.raises(CheckpointError, match=r"segmentation\.json"):
        folder.read(tiny)


def test_a_network_for_other_classes_is_refused(tiny):
    edit(tiny / "config.json", num_classes=5)
    with pytest.raises(CheckpointError, match=r"config\.json describes .* 5 classes.* 3"):
        folder.read(tiny)


def test_a_config_without_its_class_is_refused(tiny):
    edit(tiny / "config.json", _model_class=None)
    with pytest.raises(CheckpointError, match="_model_class"):
        folder.read(tiny)


def test_history_drops_a_row_that_was_cut_off(tiny):
    (tiny / "history.csv").write_text("epoch,val_iou,val_loss\n1,0.5,2\n2,nan,1\n3,0.6\n4,x,1\n")
    rows = folder.read(tiny).history()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[0] == {"epoch": 1.0, "val_iou": 0.5, "val_loss": 2.0, "kept": 0.0}


def test_tables_that_are_no_text_count_as_absent(tiny):
    for name in ("history.csv", "per_image.csv"):
        (tiny / name).write_bytes(b"\xff\xfe\x00\x81")
    checkpoint = folder.read(tiny)
    assert checkpoint.history() == []
    assert checkpoint.per_image() == []


def test_per_image_scores_come_back_as_written(tiny):
    (tiny / "per_image.csv").write_text("name,mean_iou\na,0.5\nb,0.25\n")
    assert folder.read(tiny).per_image() == [
        {"name": "a", "mean_iou": "0.5"},
        {"name": "b", "mean_iou": "0.25"},
    ]


FIGURES = {"mean_iou": 0.5, "mean_dice": 0.6, "accuracy": 0.7, "num_images": 3}


@pytest.mark.parametrize(
    "metrics",
    [
        {"splits": []},
        {"splits": {"test": None}},
        {"splits": {"test": {"f32": {**FIGURES, "mean_iou": None}}}},
        {"splits": {"test": {"bf16": FIGURES}}},
    ],
)
def test_figures_that_are_not_there_or_odd_are_none(make_checkpoint, tmp_path, metrics):
    checkpoint = make_checkpoint(tmp_path / "odd")
    writing.write_json(checkpoint.path / folder.METRICS_FILE, metrics)
    assert folder.read(checkpoint.path).figures("test") is None


def test_figures_are_found_by_split_and_precision(make_checkpoint, tmp_path):
    checkpoint = make_checkpoint(tmp_path / "scored")
    metrics = {"splits": {"test": {"f32": FIGURES}}}
    writing.write_json(checkpoint.path / folder.METRICS_FILE, metrics)
    assert folder.read(checkpoint.path).figures("test") == FIGURES
    assert folder.read(checkpoint.path).figures("validation") is None


@pytest.mark.parametrize("names", [[".."], ["../other"], ["/etc"], [5], "one"])
def test_members_lie_within(make_checkpoint, tmp_path, names):
    checkpoint = make_checkpoint(tmp_path / "one")
    description = checkpoint.description | {"members": names}
    with pytest.raises(CheckpointError, match="'members' must list names of folders"):
        folder.members(replace(checkpoint, description=description))


@pytest.mark.parametrize(
    ("encoder", "is_pretrained"),
    [({}, False), ({"pretrained": False}, False), ({"pretrained": True}, True)],
)
def test_a_checkpoint_says_whether_it_is_pretrained(tiny, encoder, is_pretrained):
    edit(tiny / folder.DESCRIPTION_FILE, encoder=encoder)
    assert folder.read(tiny).is_pretrained is is_pretrained


def test_a_class_without_a_name_of_text_is_refused(make_checkpoint, tmp_path):
    path = make_checkpoint(tmp_path / "one").path / folder.DESCRIPTION_FILE
    path.write_text(path.read_text().replace('"class 0"', "5"))
    with pytest.raises(CheckpointError, match="must be text"):
        folder.read(path.parent)
