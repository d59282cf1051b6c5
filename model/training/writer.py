"""What a run leaves on disk after each epoch, so that it can be used, watched and continued.

`resume/last.ckpt` is written first and holds everything that has been found so far; the other
files follow from it. Whenever a run is killed, the file is that of one epoch or the next, and
resuming writes whatever had not been written yet.
"""

from __future__ import annotations

import io
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback

from model import writing
from model.checkpoints import folder
from model.checkpoints.weights import save_network
from model.data.classes import ClassTable
from model.evaluation import recording
from model.evaluation.metrics import Metrics
from model.interrupts import held_back
from model.networks.registry import Architecture
from model.training.config import TrainConfig
from model.training.guards import CollapseWatch
from model.training.module import SegmentationModule
from model.words import CLASS_FIGURES

logger = logging.getLogger(__name__)

RESUME_FILE = "resume/last.ckpt"
CLASS_HISTORY_FILE = "history_per_class.csv"

FOUND_OUT = (folder.METRICS_FILE, folder.PER_IMAGE_FILE, folder.INT8_FILE, folder.CARD_FILE,
             folder.REPORT_FILE)  # fmt: skip
"""What is known about a finished run's weights."""

HISTORY_COLUMNS = (
    "epoch", "lr", "train_loss", "val_loss", "train_dice", "val_dice", "train_iou", "val_iou",
    "train_accuracy", "val_accuracy", "seconds",
)  # fmt: skip
CLASS_COLUMNS = tuple(CLASS_FIGURES)

Row = dict[str, Any]


class RunWriter(Callback):
    """After each epoch: the state to resume from, the histories, and the weights to keep.

    It also ends a run before its last epoch where the settings say so.

    Args:
        description: what `segmentation.json` says, without the course of the training.
        plan: what `config.json` says of the network.
        on_epoch: is called with the epoch's row of `history.csv` once all is written.

    Attributes:
        rows, class_rows: of `history.csv` and `history_per_class.csv`.
        ended: why the run ended early, a sentence; empty if it did not.
    """

    def __init__(
        self,
        config: TrainConfig,
        description: dict[str, Any],
        classes: ClassTable,
        plan: Architecture,
        on_epoch: Callable[[Row], None] | None = None,
    ) -> None:
        self.config = config
        self.plan = plan
        self.path = config.output
        self.description = description
        self.classes = classes
        self.on_epoch = on_epoch
        self.watch = CollapseWatch(config, classes)
        self.rows: list[Row] = []
        self.class_rows: list[Row] = []
        self.ended = ""
        self.started = time.monotonic()

    def on_fit_start(self, trainer, module: SegmentationModule) -> None:
        if not self.rows:
            return
        # Resumed, maybe with settings by which it ends at once.
        if len(self.rows) < self.config.epochs:
            self.ended = self._reason()
        if trainer.is_global_zero:  # the last epoch may be half written
            self.write(module)

    def on_train_start(self, trainer, module) -> None:
        if self.ended:
            trainer.should_stop = True

    def on_train_epoch_start(self, trainer, module) -> None:
        self.ended = ""
        self.started = time.monotonic()

    def on_train_epoch_end(self, trainer, module: SegmentationModule) -> None:
        epoch = trainer.current_epoch + 1
        seconds = time.monotonic() - self.started
        row = {"epoch": epoch, **module.figures, "seconds": seconds}
        self.rows.append({name: _rounded(row[name]) for name in HISTORY_COLUMNS})
        self.class_rows += class_rows(epoch, self.classes, module.metrics["val_"])
        self.watch.see(module.metrics["val_"].matrix)
        # Each process has a clock of its own, and all have to end after the same epoch.
        self.ended = trainer.strategy.broadcast(self._reason())
        trainer.should_stop = bool(self.ended)
        with held_back():
            trainer.save_checkpoint(self.path / RESUME_FILE)
            if trainer.is_global_zero:
                self.write(module)
        if self.on_epoch:
            self.on_epoch(self.rows[-1])

    @property
    def best(self) -> Row:
        """The row of the best epoch: the first of the highest validation mean IoU."""
        return max(self.rows, key=lambda row: (row["val_iou"], -row["epoch"]))

    @property
    def kept(self) -> Row:
        """The row of the epoch whose weights are kept."""
        last = self.config.keep == "last" or self.config.include_validation
        return self.rows[-1] if last else self.best

    def write(self, module: SegmentationModule) -> None:
        """Writes all that follows from the state. Only the last epoch's weights are available; if
        an earlier epoch is kept, its weights have been written already."""
        if self.kept is self.rows[-1]:
            # fp16 halves the file and costs nothing measurable; float32 where it overflows.
            save_network(module.result, self.path / folder.WEIGHTS_FILE, dtype=torch.float16)
        self.description["training"] |= {
            "best_epoch": self.kept["epoch"],
            "epochs_done": len(self.rows),
            "seconds": round(sum(row["seconds"] for row in self.rows), 1),
            "ended": self.ended,
        }
        writing.write_json(self.path / folder.CONFIG_FILE, self.plan.to_json())
        writing.write_json(self.path / folder.DESCRIPTION_FILE, self.description)
        # A finished run that was continued: its figures belonged to other weights.
        scored = (self.path / folder.METRICS_FILE).exists()
        if scored and recording.is_outdated(folder.read(self.path)):
            for name in FOUND_OUT:
                (self.path / name).unlink(missing_ok=True)
        writing.write_text(self.path / CLASS_HISTORY_FILE, writing.csv_text(self.class_rows))
        writing.write_text(self.path / folder.HISTORY_FILE, writing.csv_text(self.rows))

    def state_dict(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "class_rows": self.class_rows,
            "ended": self.ended,
            "collapsed_epochs": self.watch.epochs,
            "description": self.description,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rows = state["rows"]
        self.class_rows = state["class_rows"]
        self.ended = state["ended"]
        self.watch.epochs = state["collapsed_epochs"]

    def _reason(self) -> str:
        """Why the run ends before its last epoch, a sentence; empty if it continues."""
        patience, hours = self.config.early_stopping, self.config.time_limit
        if patience is not None and len(self.rows) - self.best["epoch"] >= patience:
            passed = "1 epoch has" if patience == 1 else f"{patience} epochs have"
            return f"{passed} brought no improvement."
        if self.watch.is_over:
            return "One class was predicted everywhere."
        if hours is not None and sum(row["seconds"] for row in self.rows) >= 3600 * hours:
            limit = "1 hour" if hours == 1 else f"{hours:g} hours"
            return f"The time limit of {limit} is reached."
        return ""


class AtomicCheckpointIO(TorchCheckpointIO):
    """Replaces a checkpoint in one step.

    Lightning's own function writes to the temporary folder and moves the result: between two disks
    that is a copy, and a kill or a full disk would leave a truncated file instead of the good one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path, storage_options=None) -> None:
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        writing.write_bytes(Path(path), buffer.getvalue())


def class_rows(epoch: int, classes: ClassTable, metrics: Metrics) -> list[Row]:
    """A row per class with its figures; "" where it has none."""
    return [
        {"epoch": epoch, "class": info.name}
        | {name: _rounded(float(getattr(metrics, name)[info.id]), "") for name in CLASS_COLUMNS}
        for info in classes
    ]


def _rounded(value: float, missing: Any = math.nan) -> Any:
    if isinstance(value, int):
        return value
    return missing if math.isnan(value) else float(f"{value:.6g}")
