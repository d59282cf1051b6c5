"""What a run shows while it trains: one bar on a terminal, a line per epoch in a file."""

from __future__ import annotations

import time
from collections.abc import Callable

from lightning.pytorch.callbacks import Callback
from tqdm import tqdm

from model.training.config import TrainConfig
from model.training.module import SegmentationModule
from model.words import duration


class RunProgress(Callback):
    """One bar for the whole run, in training pictures, with their rate and the time left.

    If the output is not a terminal, each epoch gets a line instead. The rate includes the time of
    validation, so that the time left is that of the run.
    """

    def __init__(self, config: TrainConfig, show: Callable[[str], None] = print) -> None:
        self.config = config
        self.show = show
        self.bar: tqdm | None = None
        self.started = time.monotonic()
        self.first = 0

    def on_train_start(self, trainer, module) -> None:
        if not trainer.is_global_zero:
            return
        self.started, self.first = time.monotonic(), trainer.current_epoch
        pictures = self._pictures_per_epoch(trainer)
        self.bar = tqdm(
            total=pictures * self.config.epochs,
            initial=pictures * self.first,
            unit=" pictures",
            smoothing=0.05,
            disable=None,
            dynamic_ncols=True,
        )

    def on_train_epoch_start(self, trainer, module) -> None:
        if self.bar is not None:
            self.bar.set_description(f"epoch {trainer.current_epoch + 1}/{self.config.epochs}")

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx) -> None:
        if self.bar is not None:
            self.bar.update(len(batch[0]) * trainer.world_size)

    def on_train_epoch_end(self, trainer, module: SegmentationModule) -> None:
        if self.bar is None:
            return
        figures = module.figures
        self.bar.set_postfix_str(f"validation IoU {figures['val_iou']:.3f}")
        if self.bar.disable:
            done = trainer.current_epoch + 1
            seconds = (time.monotonic() - self.started) / (done - self.first)
            self.show(
                f"epoch {done}/{self.config.epochs}: loss {figures['train_loss']:.4f}, "
                f"on validation {figures['val_loss']:.4f}, mean IoU {figures['val_iou']:.4f}, "
                f"accuracy {figures['val_accuracy']:.4f}; "
                f"{self._pictures_per_epoch(trainer) / seconds:.1f} pictures/s, "
                f"{duration(seconds * (self.config.epochs - done))} left"
            )

    def teardown(self, trainer, module, stage) -> None:
        if self.bar is not None:
            self.bar.close()

    def _pictures_per_epoch(self, trainer) -> int:
        return trainer.num_training_batches * self.config.batch_size
