"""`python -m model compare` as people call it."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from model import writing
from model.checkpoints import folder
from model.data import datasets, split_file


@pytest.fixture
def runs(trained_run: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A trained run, and a copy of it that was never scored."""
    paths = tmp_path / "scored", tmp_path / "unscored"
    for path in paths:
        shutil.copytree(trained_run, path)
    for name in (folder.METRICS_FILE, folder.PER_IMAGE_FILE):
        (paths[1] / name).unlink()
    return paths


def test_compare_scores_what_has_no_figures_and_writes_report_and_tables(here, runs, tmp_path):
    """Recorded figures and those measured now are the same."""
    report, tables = tmp_path / "new" / "report.html", tmp_path / "tables.zip"
    code, output, errors = here(
        "compare", *runs, "--data", "streets", "--output", report, "--tables", tables
    )  # fmt: skip
    assert code == 0, errors
    assert "Scoring" in output
    assert output.count("Scoring") == 1
    assert "No difference that these 80 pictures can show" in output
    assert "The difference in mean IoU is 0.0 points, between 0.0 and 0.0" in output
    assert "its 80 test pictures" in output
    html = report.read_text()
    assert "No difference that these 80 pictures can show" in html
    assert html.count("<svg") >= 10
    with zipfile.ZipFile(tables) as archive:
        rows = archive.read("pictures.csv").decode().splitlines()
    assert len(rows) == 81
    assert all(float(row.split(",")[-1]) == 0 for row in rows[1:])


def test_figures_that_the_checkpoints_have_are_used(here, runs):
    shutil.rmtree(runs[1])
    shutil.copytree(runs[0], runs[1])
    code, output, errors = here("compare", *runs)
    assert code == 0, errors
    assert "Scoring" not in output


def test_a_split_of_ones_own_is_scored_on(here, runs, tmp_path):
    """Recorded figures are of another test part, so both are scored anew."""
    names = datasets.load("streets").split
    own = {"train": names["train"], "validation": names["validation"], "test": names["test"][:6]}
    path = tmp_path / "own.json"
    split_file.write(path, own, data="streets", rule="the first six")
    code, output, errors = here("compare", *runs, "--split-file", path)
    assert code == 0, errors
    assert output.count("Scoring") == 2
    assert "on 6 pictures" in output or "these 6 pictures" in output


def test_a_split_of_which_data_must_be_said(here, runs):
    file = runs[1] / folder.DESCRIPTION_FILE
    description = json.loads(file.read_text())
    description["data"]["name"] = "pets"
    writing.write_json(file, description)
    code, _, errors = here("compare", *runs, "--split-file", "own.json")
    assert code == 2
    assert "trained on pets, streets. Say with --data which" in errors


def test_other_splits_are_refused(here, runs):
    file = runs[1] / folder.DESCRIPTION_FILE
    description = json.loads(file.read_text())
    description["data"]["split_digest"] = "another"
    writing.write_json(file, description)
    code, _, errors = here("compare", *runs)
    assert code == 2
    assert "error: These models cannot be compared" in errors
    assert "different splits" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["a/gone"], "Name two to 4 checkpoints"),
        (["a/gone", "a/gone"], "named twice"),
        (["a/gone", "b/gone"], "a/gone"),
        (["a/gone", "b/gone", "--output", "."], "is a folder"),
    ],
)
def test_what_cannot_be_done_is_said(here, arguments, sentence):
    code, _, errors = here("compare", *arguments)
    assert code == 2
    assert sentence in errors
    assert "Traceback" not in errors
