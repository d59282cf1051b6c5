"""What can go wrong in a run: a sentence each, the last good epoch kept, the folder usable."""

import errno
import logging
import os
import resource
import shutil

import numpy as np
import pytest
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from PIL import Image

from model.checkpoints import folder
from model.checkpoints.weights import read_tensors
from model.data import streets
from model.data.classes import ClassTable
from model.data.datasets import UserFolder
from model.errors import ConfigError, StudioError, TrainingError
from model.inference.segmenter import Segmenter
from model.training import module as training_module
from model.training.guards import CollapseWatch, check_finite, explained
from model.training.run import train

CLASSES = ClassTable.of((("road", "#111111"), ("sky", "#222222")))
ONE_CLASS, TWO_CLASSES = np.array([[3, 0], [2, 0]]), np.array([[3, 0], [1, 1]])


def epochs_of(path) -> list[dict]:
    return [{**row, "seconds": 0} for row in folder.read(path).history()]


def assert_usable(path, picture) -> None:
    """The folder is a checkpoint, and nothing half written lies in it."""
    assert Segmenter(path, engine="torch").segment(picture).labels.shape == picture.shape[:2]
    assert not [entry for entry in path.rglob("*") if entry.name.endswith(".part")]


def test_a_loss_that_is_no_number_stops_the_run(tiny, few_streets, monkeypatch, picture):
    make, calls = training_module.loss_by_name, []

    class Diverging(torch.nn.Module):
        """Good for the four steps of the first epoch (two of them on validation)."""

        def __init__(self, *arguments) -> None:
            super().__init__()
            self.loss = make(*arguments)

        def forward(self, logits, target):
            calls.append(0)
            return self.loss(logits, target) * (1.0 if len(calls) <= 3 else float("nan"))

    monkeypatch.setattr(training_module, "loss_by_name", Diverging)
    config = tiny(precision="auto", lr=0.5)
    with pytest.raises(TrainingError) as caught:
        train(config, few_streets)
    message = str(caught.value)
    assert "The loss became nan" in message
    for advice in ("lower --lr (now 0.5)", "--warmup-epochs", "--precision f32", "--start-from"):
        assert advice in message
    assert len(epochs_of(config.output)) == 1
    assert_usable(config.output, picture)


def test_the_advice_after_divergence_names_a_folder(tiny):
    """A name alone would be looked up among the bundled checkpoints."""
    for output, start in (("mine", "./mine"), ("runs/mine", "runs/mine"), ("/mine", "/mine")):
        with pytest.raises(TrainingError, match=rf"--start-from {start} continues"):
            check_finite(torch.tensor(float("nan")), tiny(output=output))


def test_diverging_weights_are_noticed_for_what_they_are(tiny, few_streets):
    with pytest.raises(TrainingError, match="The loss became"):
        train(tiny(lr=1e30, schedule="constant", optimizer="sgd"), few_streets)


def test_three_epochs_of_one_class_are_a_warning(caplog, tiny):
    watch = CollapseWatch(tiny(loss="ce"), CLASSES)
    for matrix in (ONE_CLASS, ONE_CLASS, TWO_CLASSES, ONE_CLASS, ONE_CLASS):
        watch.see(matrix)
    assert not caplog.records
    watch.see(ONE_CLASS)
    assert not watch.is_over
    assert "For 3 epochs the network has predicted 'road' everywhere" in caplog.text
    for advice in ("--lr (now 0.001)", "--class-weights balanced", "--loss ce+dice (now ce)"):
        assert advice in caplog.text
    watch.see(ONE_CLASS)
    assert len(caplog.records) == 1  # once is enough
    caplog.clear()
    watch = CollapseWatch(tiny(loss="0.5*ce+dice", class_weights="balanced"), CLASSES)
    for _ in range(3):
        watch.see(ONE_CLASS)
    assert "--class-weights" not in caplog.text  # it has them


def test_of_several_processes_one_warns_of_a_collapse(caplog, tiny, monkeypatch):
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    watch = CollapseWatch(tiny(on_collapse="stop"), CLASSES)
    for _ in range(3):
        watch.see(ONE_CLASS)
    assert watch.is_over
    assert not caplog.records


def test_one_class_is_no_collapse_where_no_other_occurs(caplog, tiny):
    watch = CollapseWatch(tiny(on_collapse="stop"), CLASSES)
    for _ in range(5):
        watch.see(np.array([[3, 0], [0, 0]]))
    assert not watch.is_over
    assert not caplog.records


def test_a_run_that_collapses_stops_where_it_is_asked_to(tiny, few_streets, caplog):
    """Scenes that are one class but for a corner: the network soon predicts it everywhere."""

    def pair(name):
        image, labels = streets.draw(int(name), (64, 48))
        labels = np.zeros_like(labels)
        labels[:2, :2] = 1
        return image, labels

    few_streets.pair = pair
    few_streets.labels = lambda name: pair(name)[1]
    config = tiny(
        loss="ce", lr=0.1, optimizer="adam", schedule="constant", epochs=30, on_collapse="stop"
    )
    with caplog.at_level(logging.WARNING):
        checkpoint = train(config, few_streets)
    training = checkpoint.description["training"]
    assert training["ended"] == "One class was predicted everywhere."
    assert 3 <= training["epochs_done"] < 30
    assert "'road' everywhere" in caplog.text
    assert "It stops here, as --on-collapse asks." in caplog.text


def test_a_full_disk_keeps_the_last_epoch_from_which_it_goes_on(
    tiny, few_streets, tmp_path, picture
):
    """The state outgrows what a file may hold (`ulimit -f`) in the second epoch; the system's
    own error, in the middle of a file."""
    config, whole = tiny(), tiny(output=tmp_path / "whole")
    train(whole, few_streets, score=False)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    last = config.output / "resume" / "last.ckpt"

    def fill(row):
        resource.setrlimit(resource.RLIMIT_FSIZE, (last.stat().st_size // 2, hard))

    try:
        with pytest.raises(TrainingError) as caught:
            train(config, few_streets, on_epoch=fill, score=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"{config.output} has no room for more: File too large. Free some space" in str(
        caught.value
    )
    assert "with --resume continues" in str(caught.value)
    assert len(epochs_of(config.output)) == 1
    assert_usable(config.output, picture)
    train(tiny(resume=True), few_streets, score=False)
    assert epochs_of(config.output) == epochs_of(whole.output)
    kept, expected = (read_tensors(c.output / "model.safetensors") for c in (config, whole))
    assert all(torch.equal(value, expected[key]) for key, value in kept.items())


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs a folder of Linux's own")
def test_an_output_that_cannot_be_made_is_refused_before_anything_is_read(tiny, few_streets):
    """/sys takes no folders, whoever asks."""
    from pathlib import Path

    few_streets.pair = None  # reading would fail
    with pytest.raises(
        ConfigError, match=r"--output /sys/kernel/run cannot be created or written: "
    ):
        train(tiny(output=Path("/sys/kernel/run")), few_streets)


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.EACCES, "FILE cannot be read: Permission denied. Make it readable."),
        (errno.EPERM, "FILE cannot be read: Operation not permitted. Make it readable."),
        (errno.EROFS, "FILE cannot be written: Read-only file system. Make it writable."),
        (errno.ENOSPC, "has no room for more: No space left on device. Free some space there."),
        (errno.EDQUOT, "has no room for more: "),
        (errno.ENOENT, "FILE is gone: No such file or directory. Put it back."),
        (errno.EIO, "FILE: Input/output error."),
    ],
)
def test_what_the_system_refuses_is_said_in_words(number, sentence, tiny):
    with pytest.raises(TrainingError) as caught, explained(tiny()):
        raise OSError(number, os.strerror(number), "FILE")
    assert sentence in str(caught.value)
    assert "with --resume continues" in str(caught.value)


def test_what_cannot_be_written_is_the_runs_own(tiny):
    config = tiny()
    last = config.output / "resume" / "last.ckpt"
    for place in (str(last), last, None):
        with pytest.raises(TrainingError) as caught, explained(config):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), place)
        assert f"{place or config.output} cannot be written: Permission denied." in str(
            caught.value
        )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_too_little_memory_is_said_in_words(error, tiny):
    told = pytest.raises(TrainingError, match=r"not enough memory .*--batch-size .*--accumulate")
    with told, explained(tiny()):
        raise error


def test_errors_of_our_own_stay_what_they_are(tiny):
    for error in (StudioError("a sentence"), RuntimeError("a defect"), KeyError("x")):
        with pytest.raises(type(error), match=str(error)), explained(tiny()):
            raise error


@pytest.fixture
def own_folder(tmp_path):
    """Ten small pictures with masks, split into parts by the data set itself."""
    root = tmp_path / "own"
    for seed in range(20):
        image, labels = streets.draw(seed, (64, 48))
        for kind, array in (("images", image), ("masks", labels)):
            (root / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(root / kind / f"{seed}.png")
    return root


def test_a_picture_that_vanishes_before_it_is_read_is_named(own_folder, tiny):
    data = UserFolder(own_folder)
    gone = data.images[data.names("train")[0]]
    gone.unlink()
    with pytest.raises(StudioError, match=gone.name):
        train(tiny(skip_check=True, longest_side=64), data)


def test_pictures_that_vanish_after_they_were_read_stop_no_epoch(own_folder, tiny, picture):
    """Training works on what is in memory; what is scored is read anew at the end."""
    data = UserFolder(own_folder)
    gone, away = data.images[data.names("test")[0]], own_folder.parent / "away.png"
    config = tiny(skip_check=True, longest_side=64)
    advice = rf"{gone.name} cannot be opened: .*\. Put it back\. If .* with --resume continues\."
    with pytest.raises(TrainingError, match=advice):
        train(config, data, on_epoch=lambda row: gone.exists() and gone.rename(away))
    assert len(epochs_of(config.output)) == 3
    assert_usable(config.output, picture)
    away.rename(gone)
    checkpoint = train(tiny(skip_check=True, longest_side=64, resume=True), UserFolder(own_folder))
    assert checkpoint.figures("test")


def test_the_doctor_looks_first_and_can_be_left_out(own_folder, tiny, monkeypatch):
    """A mask of another size than its picture stops the run before anything is written."""
    data = UserFolder(own_folder)
    name = data.names("train")[0]
    Image.open(data.masks[name]).resize((32, 24)).save(data.masks[name])
    config = tiny(longest_side=64)
    with pytest.raises(StudioError, match=r"`python -m model data check .* shows all"):
        train(config, UserFolder(own_folder))
    assert not config.output.exists()
    with pytest.raises(StudioError, match="They must have the same size"):
        train(tiny(longest_side=64, skip_check=True), UserFolder(own_folder))


def test_a_folder_that_is_removed_under_a_run_is_made_again(tiny, few_streets, picture):
    config = tiny(samples_every=1)

    def remove(row):
        if row["epoch"] == 1:
            shutil.rmtree(config.output / "resume")
            shutil.rmtree(config.output / "samples")

    train(config, few_streets, on_epoch=remove, score=False)
    assert (config.output / "resume" / "last.ckpt").exists()
    assert_usable(config.output, picture)
