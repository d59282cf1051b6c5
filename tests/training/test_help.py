"""The command line of `train`: its help names every setting, a wrong flag is answered in words."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from model.__main__ import RUNNERS, main
from model.training.config import TrainConfig, flag
from model.training.presets import PRESETS

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(here):
    """A function that runs `python -m model train ...` here: exit code, output and errors."""
    return lambda *words: here("train", *words)


def test_help_names_each_setting_with_its_default(run):
    code, text, _ = run("--help")
    assert code == 0
    for item in dataclasses.fields(TrainConfig):
        assert flag(item.name) in {word.strip(",") for word in text.split()}, item.name
    assert "(default: 0.001)" in text
    for name in PRESETS:
        assert name in text
    for choice in ("one-cycle,cosine,poly,constant,plateau", "adam,adamw,sgd", "lovasz", "tversky"):
        assert choice in text


@pytest.mark.parametrize("command", ["train", "crossval", "tune", "small-data"])
def test_the_split_file_is_called_as_in_evaluate(command, here):
    lines = [line.strip("│ ") for line in here(command, "--help")[1].splitlines()]
    (line,) = (line for line in lines if line.startswith("--split"))
    assert line.split()[0] == "--split-file"


def test_every_setting_is_explained(run):
    _, text, _ = run("--help")
    lines = [line.strip("│ ") for line in text.splitlines()]
    for item in dataclasses.fields(TrainConfig):
        place = next(
            i
            for i, line in enumerate(lines)
            if line.replace(",", "").split()[:1] == [flag(item.name)]
        )
        assert len(" ".join(lines[place : place + 2]).split()) > 6, item.name


@pytest.mark.parametrize("preset", ["pets", "aerial"])  # by default without and with
@pytest.mark.parametrize("given", ["--turn", "--no-turn"])
def test_a_presets_flag_can_be_repeated_or_overridden(preset, given, monkeypatch):
    monkeypatch.setitem(RUNNERS, TrainConfig, lambda config: trained.append(config))
    trained = []
    monkeypatch.setattr("sys.argv", ["model", "train", "--preset", preset, given])
    main()
    assert trained == [TrainConfig.of_preset(preset, turn=given == "--turn")]


def test_the_help_of_a_preset_shows_its_settings(run):
    code, text, _ = run("--preset", "carla-course", "--help")
    assert code == 0
    for default in ("carla-course", "128", "ce", "adam", "constant"):
        assert f"(default: {default})" in text


@pytest.mark.parametrize("command", ["train", "crossval", "tune", "small-data"])
def test_every_command_that_trains_takes_presets(command, here):
    code, text, _ = here(command, "--preset", "aerial", "--help")
    assert code == 0
    assert f"usage: python -m model {command} " in text
    for default in ("aerial", "ce", "unit", "60", "24"):
        assert f"(default: {default})" in text
    code, _, errors = here(command, "--preset", "aeriel")
    assert code == 2
    assert "there is no preset 'aeriel'. Perhaps you meant aerial" in errors


@pytest.mark.parametrize(
    ("words", "sentences"),
    [
        (["--epoch", "3"], ["--epoch", "--epochs"]),
        (["--no-such-flag"], ["--no-such-flag"]),
        (["--epochs", "many"], ["--epochs", "many"]),
        (["--optimizer", "adagrad"], ["--optimizer", "adagrad", "adamw"]),
        (["--schedule", "linear"], ["--schedule", "linear", "cosine"]),
        (["--epochs"], ["--epochs"]),
        (["--preset", "carla-resnet"], ["no preset 'carla-resnet'", "carla-resnet34"]),
        (["--loss", "ce+lovas"], ["--loss", "Perhaps you meant 'lovasz'"]),
        (["--network", "unet-resnet43", "--data", "streets"], ["unet-resnet43"]),
    ],
)
def test_what_cannot_be_read_is_said_by_flag(words, sentences, run, tmp_path):
    code, _, errors = run("--output", str(tmp_path / "run"), *words)
    assert code == 2
    assert "Traceback" not in errors
    for sentence in sentences:
        assert sentence in errors
    assert not (tmp_path / "run").exists()


def test_a_reader_that_has_seen_enough_gets_no_traceback():
    """As in `python -m model train --help | head`."""
    words = [sys.executable, "-m", "model", "train", "--help"]
    process = subprocess.Popen(
        words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    assert process.wait(timeout=60) == 141
