"""Checkpoints are found by name and by path, and listed without those that are damaged."""

import json
import shutil
from pathlib import Path

import pytest

from model import writing
from model.checkpoints import folder, zoo
from model.errors import UnknownModelError


@pytest.fixture
def weights(make_checkpoint, tmp_path, monkeypatch) -> Path:
    """A folder of bundled checkpoints with one in it, `tiny`."""
    monkeypatch.setenv(zoo.WEIGHTS_VARIABLE, str(tmp_path))
    make_checkpoint(tmp_path / "tiny")
    return tmp_path


def break_classes(path: Path) -> None:
    description = path / folder.DESCRIPTION_FILE
    values = json.loads(description.read_text()) | {"classes": [{"id": 3}]}
    writing.write_json(description, values)


def test_a_checkpoint_is_found_by_name_and_by_path(weights):
    assert zoo.find("tiny").path == weights / "tiny"
    assert zoo.find(str(weights / "tiny")).name == "tiny"


def test_a_relative_path_keeps_its_folders_name(weights, monkeypatch):
    monkeypatch.chdir(weights / "tiny")
    assert zoo.find("./").name == "tiny"


@pytest.mark.parametrize("name", ["gone", "", ".", "..", "TINY", "tiny ", "a" * 5000, "tiny\0"])
def test_an_unknown_name_lists_those_there_are(weights, name):
    with pytest.raises(UnknownModelError, match=r"There is no model .* Bundled: tiny\."):
        zoo.find(name)


@pytest.mark.parametrize("path", ["/nowhere/at/all", "./nowhere", "/" + "a" * 5000])
def test_a_path_without_a_folder_is_refused(weights, path):
    with pytest.raises(UnknownModelError, match="no checkpoint folder"):
        zoo.find(path)


def test_no_bundled_checkpoints_are_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv(zoo.WEIGHTS_VARIABLE, str(tmp_path / "none"))
    assert zoo.list_bundled() == ([], {})
    with pytest.raises(UnknownModelError, match="Bundled: none"):
        zoo.find("tiny")


def test_one_damaged_checkpoint_does_not_hide_the_others(weights):
    for name in ("a-broken", "b-empty", "z-good"):
        shutil.copytree(weights / "tiny", weights / name)
    break_classes(weights / "a-broken")
    shutil.rmtree(weights / "b-empty")
    (weights / "b-empty").mkdir()
    (weights / ".hidden").mkdir()
    (weights / "README.md").touch()
    good, damaged = zoo.list_bundled()
    assert [checkpoint.name for checkpoint in good] == ["tiny", "z-good"]
    assert set(damaged) == {"a-broken", "b-empty"}
    assert "config.json" in damaged["b-empty"]


def test_a_list_reads_only_what_has_changed(weights, monkeypatch):
    tiny = weights / "tiny"
    shutil.copytree(tiny, weights / "other")
    asked = []
    read = zoo.read
    monkeypatch.setattr(zoo, "read", lambda path: asked.append(path.name) or read(path))
    assert zoo.list_bundled()[0] == zoo.list_bundled()[0]
    assert asked == ["other", "tiny"]
    writing.write_json(tiny / "metrics.json", {"splits": {}})
    assert zoo.list_bundled()[0][1].metrics == {"splits": {}}
    assert asked == ["other", "tiny", "tiny"]
    break_classes(tiny)
    assert set(zoo.list_bundled()[1]) == {"tiny"}
    (weights / "other" / "model.safetensors").unlink()
    assert set(zoo.list_bundled()[1]) == {"other", "tiny"}


@pytest.mark.parametrize(
    "name",
    [
        *(folder.CONFIG_FILE, folder.DESCRIPTION_FILE, folder.METRICS_FILE),
        *(folder.WEIGHTS_FILE, folder.INT8_FILE),
        f"fold-1/{folder.WEIGHTS_FILE}",
        f"fold-1/{folder.INT8_FILE}",
        "../registry",
    ],
)
def test_what_decides_the_answer_changes_the_version(weights, make_checkpoint, name):
    path = weights / "tiny"
    make_checkpoint(path / "fold-1")
    before = zoo.version(path)
    assert zoo.version(path) == before
    (path / name).write_bytes(b"other")
    assert zoo.version(path) != before


def test_other_files_do_not_and_one_that_is_gone_has_a_version(weights):
    path = weights / "tiny"
    before = zoo.version(path)
    (path / "notes.txt").touch()
    (path / "plots").mkdir()
    assert zoo.version(path) == before
    shutil.rmtree(path)
    assert zoo.version(path) != before
