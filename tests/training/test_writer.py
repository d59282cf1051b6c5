"""What is left on disk after each epoch, and when a run ends before its last."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from model import writing
from model.checkpoints.weights import read_tensors
from model.data.classes import ClassTable
from model.evaluation.metrics import Metrics
from model.networks.registry import architecture
from model.networks.unet import UNet
from model.training.writer import HISTORY_COLUMNS, AtomicCheckpointIO, RunWriter

CLASSES = ClassTable.of((("a", "#111111"), ("b", "#222222")))
MATRIX = np.array([[2, 1], [1, 2]])


class Epochs:
    """Feeds a `RunWriter` with made-up epochs; the head's bias is the number of the epoch."""

    def __init__(self, config) -> None:
        config.output.mkdir(exist_ok=True)
        self.path = config.output
        self.writer = RunWriter(config, {"training": {}}, CLASSES, architecture("unet", 2))
        self.done = 0
        self.stopped = False
        self.said = lambda own: own  # what the first process says of the end, here its own word

    def see(self, *scores: float, matrix: np.ndarray = MATRIX):
        for score in scores:
            network = UNet(num_classes=2, base_width=1, depth=1)
            torch.nn.init.constant_(network.head.bias, self.done + 1)
            figures = dict.fromkeys(HISTORY_COLUMNS[1:-1], 0.5) | {"val_iou": score}
            module = SimpleNamespace(
                result=network, figures=figures, metrics={"val_": Metrics.of(matrix)}
            )
            trainer = SimpleNamespace(
                current_epoch=self.done, should_stop=False, is_global_zero=True,
                save_checkpoint=lambda path: None, strategy=SimpleNamespace(broadcast=self.said),
            )  # fmt: skip
            self.writer.on_train_epoch_start(trainer, module)
            self.writer.on_train_epoch_end(trainer, module)
            self.done += 1
            self.stopped = trainer.should_stop

    def training(self) -> dict:
        return json.loads((self.path / "segmentation.json").read_text())["training"]


def test_the_best_epoch_is_kept(tiny):
    """The second is the best; the fourth equals it, and the earlier one stays."""
    epochs = Epochs(tiny())
    epochs.see(0.1, 0.3, 0.2, 0.3)
    assert (read_tensors(epochs.path / "model.safetensors")["head.bias"] == 2).all()
    assert (epochs.training()["best_epoch"], epochs.training()["epochs_done"]) == (2, 4)
    with open(epochs.path / "history.csv", newline="") as file:
        assert [row["val_iou"] for row in csv.DictReader(file)] == ["0.1", "0.3", "0.2", "0.3"]


@pytest.mark.parametrize("settings", [{"keep": "last"}, {"include_validation": True}])
def test_the_last_epoch_is_kept_where_none_is_chosen(settings, tiny):
    epochs = Epochs(tiny(**settings))
    epochs.see(0.1, 0.3, 0.2)
    assert (read_tensors(epochs.path / "model.safetensors")["head.bias"] == 3).all()
    assert epochs.training()["best_epoch"] == 3


def test_early_stopping_waits_for_the_best_also_where_the_last_is_kept(tiny):
    epochs = Epochs(tiny(keep="last", early_stopping=2))
    epochs.see(0.1, 0.3, 0.2)
    assert not epochs.stopped
    epochs.see(0.2)
    assert epochs.stopped


def test_early_stopping_waits_as_long_as_it_was_told(tiny):
    epochs = Epochs(tiny(early_stopping=2))
    epochs.see(0.1, 0.3, 0.2, 0.4, 0.4)
    assert not epochs.stopped
    epochs.see(0.3)
    assert epochs.stopped
    assert epochs.training()["ended"] == "2 epochs have brought no improvement."
    assert epochs.training()["best_epoch"] == 4


def test_without_early_stopping_nothing_ends_a_run_that_gets_worse(tiny):
    epochs = Epochs(tiny())
    epochs.see(0.5, *[0.1] * 30)
    assert not epochs.stopped
    assert epochs.training()["ended"] == ""


def test_the_time_limit_is_given_as_the_reason(tiny):
    epochs = Epochs(tiny(time_limit=0.5))
    epochs.see(0.1)
    assert not epochs.stopped
    epochs.writer.rows[0]["seconds"] = 1800.0
    epochs.see(0.1)
    assert epochs.stopped
    assert epochs.training()["ended"] == "The time limit of 0.5 hours is reached."


def test_all_processes_end_with_the_first_whatever_their_clocks_say(tiny):
    epochs = Epochs(tiny(time_limit=1e-12))
    epochs.said = lambda own: ""
    epochs.see(0.1)
    assert not epochs.stopped


def test_a_resumed_writer_waits_no_longer_than_one_that_was_not_stopped(tiny):
    config = tiny(early_stopping=2)
    first = Epochs(config)
    first.see(0.3, 0.2)
    second = Epochs(config)
    second.writer.load_state_dict(first.writer.state_dict())
    second.done = 2
    second.see(0.1)
    assert second.stopped
    assert (read_tensors(second.path / "model.safetensors")["head.bias"] == 1).all()


@pytest.mark.parametrize(
    ("settings", "matrix"),
    [
        ({"on_collapse": "stop"}, np.array([[2, 0], [2, 0]])),
        ({"time_limit": 1e-12}, MATRIX),
        ({"early_stopping": 2}, MATRIX),
    ],
)
def test_a_run_that_has_ended_early_learns_nothing_more_when_resumed(settings, matrix, tiny):
    config = tiny(**settings)
    first = Epochs(config)
    first.see(0.3, 0.2, 0.1, matrix=matrix)
    assert first.stopped
    second = Epochs(config).writer
    second.load_state_dict(first.writer.state_dict())
    trainer = SimpleNamespace(should_stop=False)
    second.on_train_start(trainer, None)
    assert trainer.should_stop


def test_a_run_that_ends_as_it_is_resumed_says_why(tiny):
    """Its patience was given only then: no epoch is left to say it."""
    first = Epochs(tiny())
    first.see(0.3, 0.2)
    second = Epochs(tiny(early_stopping=1))
    second.writer.load_state_dict(first.writer.state_dict())
    trainer = SimpleNamespace(should_stop=False, is_global_zero=True)
    second.writer.on_fit_start(trainer, None)
    second.writer.on_train_start(trainer, None)
    assert trainer.should_stop
    assert second.training()["ended"] == "1 epoch has brought no improvement."


def test_a_run_that_did_not_end_early_does_not_say_so_later(tiny):
    first = Epochs(tiny())
    first.see(0.3, 0.2, 0.1)
    second = Epochs(tiny(early_stopping=1))
    second.writer.load_state_dict(first.writer.state_dict())
    second.writer.on_fit_start(SimpleNamespace(is_global_zero=True), None)
    assert second.training()["ended"] == ""


def test_each_class_gets_a_row_per_epoch(tiny):
    epochs = Epochs(tiny())
    epochs.see(0.1, matrix=np.array([[3, 1], [0, 0]]))
    with open(epochs.path / "history_per_class.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert first == {
        "epoch": "1", "class": "a", "iou": "0.75", "dice": "0.857143", "precision": "1.0",
        "recall": "0.75",
    }  # fmt: skip
    # It occurs in the prediction only: nothing of it could be found.
    assert (second["iou"], second["precision"], second["recall"]) == ("0.0", "0.0", "")


@pytest.mark.parametrize("number", [0.123456789, 1e-9, 12345.678, float("nan")])
def test_the_histories_lose_no_more_than_digits(number):
    (row,) = csv.DictReader(writing.csv_text([{"value": number}]).splitlines())
    assert float(row["value"]) == pytest.approx(number, rel=1e-5, nan_ok=True)


def test_a_state_that_cannot_be_written_leaves_the_last_one(tmp_path, monkeypatch):
    path = tmp_path / "resume" / "last.ckpt"
    plugin = AtomicCheckpointIO()
    plugin.save_checkpoint({"epoch": 1}, path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        plugin.save_checkpoint({"epoch": 2}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 1}
    assert [entry.name for entry in path.parent.iterdir()] == ["last.ckpt"]
