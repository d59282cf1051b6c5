"""What is written is whole, or as it was before."""

import json

import pytest

from model import writing


def test_writing_replaces_whole_and_leaves_nothing_beside(tmp_path):
    path = tmp_path / "file.json"
    writing.write_json(path, {"name": "Straße", "value": 1.5})
    writing.write_json(path, {"name": "Straße", "value": 2.5})
    assert json.loads(path.read_text(encoding="utf-8")) == {"name": "Straße", "value": 2.5}
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    writing.write_text(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        writing.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_refuses_what_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        writing.write_json(tmp_path / "file.json", {"value": float("nan")})
