"""What makes the page draw itself again."""

from __future__ import annotations

import os
import shutil

import pytest

from app.compare.catalogue import fingerprint, version, weights_version
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
    weights, whole = weights_version(checkpoint), version(checkpoint)
    os.utime(checkpoint.path / folder.HISTORY_FILE, (1, 1))
    assert weights_version(checkpoint) == weights
    assert version(checkpoint) != whole
    os.utime(checkpoint.path / folder.WEIGHTS_FILE, (1, 1))
    assert weights_version(checkpoint) != weights
