"""What makes the page draw itself again."""

from __future__ import annotations

import dataclasses
import os
import shutil

import numpy as np
import pytest

from app import models
from app.compare import price
from app.compare.catalogue import available, fingerprint, version
from app.compare.choice import preselected, scored
from app.compare.opening import judged
from app.compare.predictions import predict
from app.compare.sources import Picture
from model.checkpoints import folder, zoo
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.evaluation.report.candidate import candidates
from model.inference.segmenter import Segmenter


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


@pytest.mark.parametrize("name", [folder.HISTORY_FILE, folder.PER_IMAGE_FILE])
def test_what_is_drawn_but_not_computed_with_changes_the_page_alone(shelf, name):
    path = zoo.find("streets-scratch").path
    network, whole = zoo.version(path), version(path)
    os.utime(path / name, (1, 1))
    assert zoo.version(path) == network
    assert version(path) != whole


@pytest.mark.parametrize(
    "name",
    [
        folder.WEIGHTS_FILE, folder.METRICS_FILE, folder.DESCRIPTION_FILE,
        f"member/{folder.WEIGHTS_FILE}",
    ],
)  # fmt: skip
def test_predictions_are_made_again_by_a_network_that_has_changed(shelf, monkeypatch, name):
    """`quantise` and `evaluate --record` let it compute in int8."""
    path = zoo.find("streets-scratch").path
    shutil.copytree(shelf / "weights" / "streets-wide", path / "member")
    segmented = []
    segment = Segmenter.segment

    def counted(*arguments, **others):
        segmented.append(1)
        return segment(*arguments, **others)

    monkeypatch.setattr(Segmenter, "segment", counted)
    found = available([])
    (model,) = candidates({"a": found.checkpoints["streets-scratch"]}, {"a": None})
    picture = Picture(name, np.zeros((32, 48, 3), np.uint8), None, "made up")
    priced, seen = price._key([model]), fingerprint(found.checkpoints)
    for _ in range(2):
        predict(model, picture)
    assert len(segmented) == 1
    os.utime(path / name, (1, 1))
    predict(model, picture)
    assert len(segmented) == 2
    assert price._key([model]) != priced
    assert fingerprint(found.checkpoints) != seen


def test_the_best_of_each_start_are_preselected(shelf):
    model = zoo.find("streets-scratch")

    def made(mean_iou, **encoder):
        figures = {"mean_dice": 0.5, "accuracy": 0.5, "num_images": 2}
        test = {"test": {"f32": figures | {"mean_iou": mean_iou}}} if mean_iou else {}
        described = model.description | {"encoder": encoder}
        return dataclasses.replace(model, metrics={"splits": test}, description=described)

    scratch = {"a": made(None), "b": made(0.5), "c": made(0.7), "d": made(0.6)}
    pretrained = {"e": made(0.8, pretrained=True), "f": made(0.9, pretrained=True)}
    assert preselected(scratch | pretrained) == ["c", "f"]
    assert preselected(pretrained | scratch) == ["c", "f"]
    assert preselected(scratch) == ["c", "d"]
    assert preselected({"a": made(None), "g": made(None), "b": made(0.5)}) == ["a", "b"]


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
