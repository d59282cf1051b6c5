"""Training through the command line: a complete folder, stopped and continued in every way."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import tyro

from model.checkpoints import folder
from model.checkpoints.weights import read_tensors
from model.data.streets import draw
from model.errors import CheckpointError, ConfigError
from model.inference.segmenter import Segmenter
from model.training.config import TrainConfig
from model.training.run import train
from model.training.writer import HISTORY_COLUMNS
from model.words import FIGURES, with_interval

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = {
    *("model.safetensors", "config.json", "segmentation.json", "history.csv", "metrics.json"),
    *("per_image.csv", "README.md", "history_per_class.csv", "training.png", "report.html"),
}
FOLDERS = {"resume", "samples", "tensorboard"}


@pytest.fixture
def copy(trained_run, tmp_path) -> Path:
    """A copy of the trained run, at another place than where it was trained."""
    return shutil.copytree(trained_run, tmp_path / "copy")


def start(arguments, output: Path, *more: str) -> subprocess.Popen:
    words = [sys.executable, "-m", "model", "train", *arguments, "--output", str(output), *more]
    return subprocess.Popen(
        words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_for(path: Path, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 90
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_folder_is_complete(trained_run):
    assert {entry.name for entry in trained_run.iterdir()} == FILES | FOLDERS
    checkpoint = folder.read(trained_run)
    assert checkpoint.data_name == "streets"
    assert checkpoint.network_name == "unet"
    assert checkpoint.description["training"]["epochs_done"] == 2
    assert len(checkpoint.description["data"]["digest"]) == 16
    assert {t.dtype for t in read_tensors(checkpoint.weights_path).values()} == {
        torch.float16,
        torch.int64,
    }
    assert "# streets-tiny" in (trained_run / "README.md").read_text()


def test_loss_falls_and_every_figure_is_recorded(trained_run):
    rows = folder.read(trained_run).history()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert tuple(rows[0]) == (*HISTORY_COLUMNS, "kept")
    assert rows[1]["train_loss"] < rows[0]["train_loss"]
    assert rows[1]["val_loss"] < rows[0]["val_loss"]
    for row in rows:
        for part in ("train", "val"):
            assert 0 < row[f"{part}_iou"] < row[f"{part}_dice"] < 1
            assert 0 < row[f"{part}_accuracy"] < 1


def test_both_splits_are_scored_at_the_original_resolution(trained_run):
    checkpoint = folder.read(trained_run)
    for part in ("validation", "test"):
        figures = checkpoint.metrics["splits"][part]["f32"]
        assert figures["num_images"] == 80
        matrix = torch.tensor(figures["confusion_matrix"])
        assert matrix.sum() == 80 * draw(0)[1].size
    rows = checkpoint.per_image()
    assert len(rows) == 80
    assert all(0 <= float(row["mean_iou"]) <= 1 for row in rows)


def test_nothing_of_this_machines_folders_is_recorded(trained_run):
    for name in FILES - {"model.safetensors", "training.png"}:
        text = (trained_run / name).read_text()
        assert str(trained_run.parent) not in text
        assert str(REPOSITORY) not in text


def test_the_command_prints_its_figures_and_no_warnings(trained_run):
    printed = (trained_run.parent / "stdout.txt").read_text()
    figures = folder.read(trained_run).metrics["splits"]["test"]["f32"]
    assert re.search(rf"mean IoU +{100 * figures['mean_iou']:.1f} \(", printed)
    assert (trained_run.parent / "stderr.txt").read_text() == ""


def test_the_checkpoint_segments_pictures(trained_run):
    image, _ = draw(500)
    labels = Segmenter(trained_run).segment(image).labels
    assert labels.shape == image.shape[:2]
    assert labels.max() < 7


def test_evaluate_gives_the_figures_that_training_recorded(trained_run, here):
    code, printed, _ = here("evaluate", "--checkpoint", trained_run, "--engine", "torch")
    assert code == 0
    figures = folder.read(trained_run).metrics["splits"]["test"]["f32"]
    for value, name in FIGURES.items():
        assert f"{name:16}{with_interval(figures, value)}\n" in printed
    road = figures["per_class"]["iou"][0]
    (row,) = (line for line in printed.splitlines() if line.split()[:1] == ["road"])
    assert f"{100 * road:.1f}" in row


def test_resuming_a_finished_run_scores_it_again_and_changes_nothing(tiny, few_streets):
    train(tiny(), few_streets)
    path = tiny().output
    before = {name: (path / name).read_text() for name in ("history.csv", "segmentation.json")}
    metrics = json.loads((path / "metrics.json").read_text())
    (path / "metrics.json").unlink()
    train(tiny(resume=True), few_streets)
    train(tiny(resume=True), few_streets, score=False)
    assert {name: (path / name).read_text() for name in before} == before
    assert json.loads((path / "metrics.json").read_text()) == metrics


def test_ctrl_c_leaves_a_usable_folder_that_can_be_moved_and_resumed(few_arguments, here, tmp_path):
    stopped, moved = tmp_path / "stopped", tmp_path / "moved"
    words = (*few_arguments, "--epochs", "500")
    process = start(words, stopped)
    wait_for(stopped / "resume" / "last.ckpt", process)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Stopped." in errors
    assert "--resume" in errors
    assert "Traceback" not in errors
    checkpoint = folder.read(stopped)
    done = checkpoint.description["training"]["epochs_done"]
    assert 1 <= done < 500
    assert Segmenter(checkpoint, engine="torch").segment(draw(0)[0]).labels.max() < 7
    stopped.rename(moved)
    hours = str((checkpoint.description["training"]["seconds"] + 0.1) / 3600)
    code, printed, _ = here(
        "train", *words, "--output", moved, "--resume", "--time-limit", hours
    )  # fmt: skip
    assert code == 0
    assert f"epoch {done + 1}/500" in printed
    assert f"of {done + 1}. The time limit" in printed


def test_an_existing_run_is_not_overwritten(copy, training_arguments):
    config = tyro.cli(TrainConfig, args=[*training_arguments, "--output", str(copy)])
    before = (copy / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"copy already holds a run\. Add --resume"):
        train(config)
    assert (copy / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("flag", "value", "recorded"),
    [("--epochs", "3", "2"), ("--base-width", "4", "8"), ("--loss", "ce", "ce+dice")],
)
def test_a_run_is_not_continued_with_other_settings(
    copy, training_arguments, flag, value, recorded
):
    words = [*training_arguments, flag, value, "--output", str(copy), "--resume"]
    before = {path: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    with pytest.raises(ConfigError) as caught:
        train(tyro.cli(TrainConfig, args=words))
    assert f"started with {flag} {recorded} (now {value})" in str(caught.value)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_is_not_continued_on_other_data(copy, training_arguments):
    path = copy / "resume" / "last.ckpt"
    state = torch.load(path, weights_only=True)
    state["callbacks"]["RunWriter"]["description"]["data"]["digest"] = "0" * 16
    torch.save(state, path)
    config = tyro.cli(TrainConfig, args=[*training_arguments, "--output", str(copy), "--resume"])
    with pytest.raises(ConfigError, match=r"data set streets or its split has changed"):
        train(config)


def test_a_damaged_resume_file_is_named(copy, training_arguments):
    last = copy / "resume" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    config = tyro.cli(TrainConfig, args=[*training_arguments, "--output", str(copy), "--resume"])
    with pytest.raises(CheckpointError, match=r"last\.ckpt is damaged"):
        train(config)


def test_nothing_to_resume_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere has no run to continue"):
        train(TrainConfig(output=tmp_path / "nowhere", resume=True))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--crop", "50"], "--crop must be a multiple of 32"),
        (["--data", "cityscapes"], "no data set 'cityscapes'"),
        (["--data", "pets", "--data-root", "/nowhere"], "needs the folder"),
        (["--network", "segformer"], "no network 'segformer'"),
        (["--loss", "hinge"], "--loss: 'hinge' cannot be read"),
        (["--batch-size", "500"], "--batch-size 500 is more than the"),
        (["--limit", "4"], "more than the 4 training pictures"),
        (["--network", "unet-resnet34", "--encoder-weights", "gone"], "there is no such file"),
        (["--dropout", "1.5"], "--dropout must be in [0, 1)"),
        (["--preset", "carla"], "no preset 'carla'. Perhaps you meant carla-"),
        (["--device", "gpu"], "finds no GPU"),
    ],
)
def test_bad_settings_give_a_sentence_and_exit_code_2(arguments, sentence, tmp_path, here):
    if "gpu" in arguments and torch.accelerator.is_available():
        pytest.skip("there is a GPU")
    output = tmp_path / "run"
    code, _, error = here("train", "--output", output, *arguments)
    assert code == 2
    assert error.startswith("error: ")
    assert sentence in error
    assert not output.exists()


def test_an_output_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"--output .*file/run cannot be created"):
        train(TrainConfig(output=tmp_path / "file" / "run", base_width=2, depth=1))


def test_wrong_flags_end_with_exit_code_2_and_no_traceback(command):
    for arguments in (["--no-such-flag"], ["--epochs", "many"], ["--crop", "50"]):
        done = command("train", *arguments)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert arguments[0].lstrip("-") in done.stderr
