"""The public learns which file is at fault, and not where on the machine it lies."""

from __future__ import annotations

import httpx
import pytest

from app import models
from app.discretion import without_folders
from model.checkpoints.zoo import WEIGHTS_VARIABLE
from model.inference.pool import SegmenterPool


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/srv/a b/weights/roads has no config.json.", "roads has no config.json."),
        ("/srv/x/config.json cannot be read.", "config.json cannot be read."),
        ("Denied: '/home/me/.cache/hub' (see \"/etc/a/b\")", "Denied: 'hub' (see \"b\")"),
        ("See https://huggingface.co/owner/name.", "See https://huggingface.co/owner/name."),
        ("Mean IoU and/or Dice, 3/4, a/b/c", "Mean IoU and/or Dice, 3/4, a/b/c"),
        ("There is no model 'owner/name@main'.", "There is no model 'owner/name@main'."),
    ],
)
def test_files_keep_their_names_only(monkeypatch, text, expected):
    monkeypatch.setenv(WEIGHTS_VARIABLE, "/srv/a b/weights")
    assert without_folders(text) == expected


def test_nothing_served_names_the_weights_folder(server, weights):
    health = httpx.get(f"{server.url}/api/health").text
    refused = httpx.post(
        f"{server.url}/api/predict", files={"file": b"x"}, data={"model": "broken"}
    ).text
    for said in (health, refused):
        assert "The checkpoint broken has no config.json" in said
        assert str(weights.parent) not in said


def test_models_that_somebody_opened_from_a_folder_are_named_without_it(
    make_checkpoint, tmp_path, monkeypatch
):
    mine = make_checkpoint(tmp_path / "mine")
    monkeypatch.setattr(models, "POOL", SegmenterPool())
    models.POOL.get(str(mine.path))
    models.POOL.get(models.find(str(mine.path), anywhere=True))
    assert set(models.open_models()) == {"mine"}


def test_damaged_checkpoints_are_told_without_folders(weights, monkeypatch):
    monkeypatch.setenv(WEIGHTS_VARIABLE, str(weights))
    assert models.damaged() == {"broken": "The checkpoint broken has no config.json."}
