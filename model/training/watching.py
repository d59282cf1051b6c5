"""For those who watch a run: curves in TensorBoard, and pictures of what it predicts."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from PIL import Image
from torch.utils.data import Dataset

from model import writing
from model.data.classes import ClassTable
from model.data.drawing import overlay
from model.data.preprocessing import Preprocessing
from model.data.sheets import in_columns, sample
from model.data.transforms import Collate
from model.training import plots
from model.training.config import TrainConfig
from model.training.module import SegmentationModule
from model.training.writer import CLASS_COLUMNS, RunWriter

SAMPLES_FOLDER = "samples"
SAMPLES = 4


class TensorBoardCurves(Callback):
    """Writes each epoch's figures, also per class, where TensorBoard finds them.

    `tensorboard --logdir runs` shows all runs below `runs/` in one set of curves.

    Args: writer: its rows are what is written; it has them when the epoch ends.
    """

    def __init__(self, writer: RunWriter) -> None:
        self.writer = writer

    def on_train_start(self, trainer, module) -> None:
        # A run that broke off may have lost the last epoch between the writer and this.
        if self.writer.rows and trainer.is_global_zero:
            from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

            place = trainer.logger.experiment.log_dir  # made by now, had it been removed
            board = EventAccumulator(place, {"scalars": 0, "images": 1}).Reload()
            known = "lr" in board.Tags()["scalars"]
            logged = {event.step for event in board.Scalars("lr")} if known else set()
            if self.writer.rows[-1]["epoch"] not in logged:
                self.on_train_epoch_end(trainer, module)

    def on_train_epoch_end(self, trainer, module) -> None:
        row = self.writer.rows[-1]
        figures = {
            "/".join(reversed(name.split("_"))): value
            for name, value in row.items()
            if name not in ("epoch", "seconds")
        }  # val_iou -> iou/val
        for of_class in self.writer.class_rows[-len(self.writer.classes) :]:
            figures |= {
                f"{column} per class/{of_class['class']}": of_class[column]
                for column in CLASS_COLUMNS
                if of_class[column] != ""
            }
        trainer.logger.log_metrics(figures, step=row["epoch"])
        trainer.logger.experiment.flush()  # or a kill would lose the last two minutes


class SamplePictures(Callback):
    """Every few epochs and after the last: some validation pictures with truth and prediction.

    They go to `samples/` in the run's folder and to TensorBoard, where the confusion matrix
    joins them, also if no samples are wanted. The folder is local: nothing of it is ever published.

    Args: samples: pictures uint8 (3, h, w) with masks uint8 (h, w), at the network's resolution.
    """

    def __init__(
        self,
        config: TrainConfig,
        classes: ClassTable,
        samples: Dataset,
        preprocessing: Preprocessing,
    ) -> None:
        self.config = config
        self.classes = classes
        self.samples = samples
        self.collate = Collate(preprocessing)
        self.epoch = self.drawn = 0

    # Before the training epoch ends: the network is in evaluation mode, without gradients.
    def on_validation_end(self, trainer, module: SegmentationModule) -> None:
        self.epoch, every = trainer.current_epoch + 1, self.config.samples_every
        if every and self.epoch % every == 0:
            self._draw(trainer, module)

    def on_train_end(self, trainer, module: SegmentationModule) -> None:
        if self.epoch > self.drawn:  # whatever ended it
            module.eval()
            self._draw(trainer, module)

    def _draw(self, trainer, module: SegmentationModule) -> None:
        self.drawn = self.epoch
        if not trainer.is_global_zero:
            return
        board = trainer.logger.experiment
        if self.config.samples_every:
            sheet = self._sheet(module)
            target = self.config.output / SAMPLES_FOLDER / f"epoch-{self.epoch:03}.png"
            target.parent.mkdir(exist_ok=True)
            writing.write_bytes(target, plots.png(sheet))
            board.add_image("samples", np.asarray(sheet), self.epoch, dataformats="HWC")
        matrix = plots.confusion(self.classes, module.metrics["val_"].matrix)
        board.add_figure("confusion matrix", matrix, self.epoch)
        # A figure is a cycle of some ten thousand objects. Python would let several dozen
        # megabytes of them pile up before it collects them.
        gc.collect()

    def _sheet(self, module: SegmentationModule) -> Image.Image:
        chosen = sample(range(len(self.samples)), SAMPLES)
        rows = [(f"number {i + 1}", self._drawn(module, i)) for i in chosen]
        return in_columns(rows, ("picture", "truth", f"epoch {self.epoch}"))

    def _drawn(self, module: SegmentationModule, index: int) -> list[np.ndarray]:
        image, mask = self.samples[index]
        images, _ = self.collate([(image, mask)])
        with torch.inference_mode():
            logits = module.result(images.to(module.device))
        height, width = mask.shape
        predicted = logits[0, :, :height, :width].argmax(0).cpu().numpy().astype(np.uint8)
        pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
        truth = np.ascontiguousarray(mask.numpy())
        return [pixels, *(overlay(pixels, labels, self.classes) for labels in (truth, predicted))]


def board_folder(output: Path) -> Path:
    """Where a run's curves for TensorBoard are."""
    return output / "tensorboard"
