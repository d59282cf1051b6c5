"""What makes the page draw itself again."""

from __future__ import annotations

import dataclasses
import os
import shutil

import pytest

from app import models
from app.compare.catalogue import available, fingerprint, version, weights_version
from app.compare.choice import scored
from app.compare.opening import judged
from model.checkpoints import folder, zoo
from model.checkpoints.zoo import WEIGHTS_VARIABLE


@pytest.fixture
def shelf(tmp_path, weights, monkeypatch):
    shutil.copytree(weights, tmp_path / "weights")
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(tmp_path / "weights"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_an_epoch_a_new_run_and_a_deleted_model_change_it(shelf):
    checkpoint = zoo.find("streets-scratch")
    seen = [fingerprint({"a": checkpoint})]
    assert fingerprint({"a": checkpoint}) == seen[0]
    os.utime(checkpoint.path / folder.HISTORY_FILE, (1, 1))
    seen.append(fingerprint({"a": checkpoint}))
    shutil.copytree(checkpoint.path, shelf / "runs" / "first")
    seen.append(fingerprint({"a": checkpoint}))
    shutil.rmtree(checkpoint.path)
    seen.append(fingerprint({"a": checkpoint}))
    assert len(set(seen)) == 4


def test_predictions_are_remembered_until_the_weights_change(shelf):
    checkpoint = zoo.find("streets-scratch")
    weights, whole = weights_version(checkpoint), version(checkpoint.path)
    os.utime(checkpoint.path / folder.HISTORY_FILE, (1, 1))
    assert weights_version(checkpoint) == weights
    assert version(checkpoint.path) != whole
    os.utime(checkpoint.path / folder.WEIGHTS_FILE, (1, 1))
    assert weights_version(checkpoint) != weights


def test_what_changes_while_it_is_drawn_is_seen_and_nothing_old_is_kept(shelf):
    """A run ends between the reading of its folder and the drawing."""
    shutil.move(shelf / "weights" / "streets-wide", shelf / "runs" / "first")
    names = ["streets-scratch", "runs/first"]
    found_out = [shelf / "runs" / "first" / n for n in (folder.METRICS_FILE, folder.PER_IMAGE_FILE)]
    contents = [path.read_bytes() for path in found_out]
    for path in found_out:
        path.unlink()
    found = available([])
    checkpoints = {name: found.checkpoints[name] for name in names}
    seen = found.fingerprint(names)
    assert fingerprint(checkpoints) == seen
    for path, content in zip(found_out, contents, strict=True):
        path.write_bytes(content)

    drawn = scored(found, names)
    assert drawn[1].metrics is None
    assert "Nothing to compare yet" in judged(drawn, found.versions).headline
    assert fingerprint(checkpoints) != seen

    found = available([])
    drawn = scored(found, names)
    assert drawn[1].metrics is not None
    assert "Nothing to compare yet" not in judged(drawn, found.versions).headline
    assert fingerprint(checkpoints) == found.fingerprint(names)


def test_a_change_during_the_reading_is_seen(shelf, monkeypatch):
    shutil.copytree(shelf / "weights" / "streets-wide", shelf / "runs" / "first")
    read = folder.read

    def read_and_change(path):
        checkpoint = read(path)
        os.utime(checkpoint.path / folder.HISTORY_FILE, (1, 1))
        return checkpoint

    monkeypatch.setattr(folder, "read", read_and_change)
    found = available([])
    for name in ("streets-scratch", "runs/first"):
        assert found.versions[name] != version(found.checkpoints[name].path)


def test_the_run_that_the_app_was_started_with_is_read_again(shelf, monkeypatch):
    checkpoint = zoo.find("streets-scratch")
    monkeypatch.setattr(models, "_preselected", dataclasses.replace(checkpoint, metrics={}))
    assert available([]).checkpoints["streets-scratch"].metrics == checkpoint.metrics
