"""The training step, validation step and optimizer, for Lightning's loop."""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from model.data.classes import VOID
from model.evaluation.metrics import Metrics
from model.networks.losses import loss_by_name
from model.training.config import TrainConfig
from model.training.guards import check_finite
from model.training.schedules import Plateau, make_schedule


class SegmentationModule(lightning.LightningModule):
    """Trains `network` with the loss, optimizer and schedule that `config` names.

    After each epoch `figures` holds train and validation loss, Dice, IoU and accuracy, and
    `metrics` what they follow from: confusion matrices that torchmetrics sums over batches
    and processes. Training figures are those of the augmented crops as they passed;
    validation figures are at the network's resolution. The published ones are computed
    separately at the original resolution.
    """

    def __init__(
        self,
        config: TrainConfig,
        network: nn.Module,
        num_classes: int,
        class_weights: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.network = network.to(memory_format=torch.channels_last)
        self.averaged = averaged(network, config.ema) if config.ema else None
        self.loss = loss_by_name(config.loss, class_weights)
        self.plateau = Plateau(config.plateau_patience) if config.schedule == "plateau" else None
        self.figures: dict[str, float] = {}
        self.metrics: dict[str, Metrics] = {}
        self.matrices = nn.ModuleDict(
            {
                # Its check of every pixel takes five times as long as its counting; `Loaders`
                # has refused ids out of range.
                part: MulticlassConfusionMatrix(num_classes, ignore_index=VOID, validate_args=False)
                for part in PARTS
            }
        )
        self.losses = nn.ModuleDict({part: MeanMetric() for part in PARTS})

    @property
    def result(self) -> nn.Module:
        """The network that is validated and kept: the one with averaged weights, if any."""
        return self.averaged.module if self.averaged else self.network

    @property
    def encoder(self) -> nn.Module | None:
        """The encoder that can be pretrained; None for the network from scratch."""
        return self.network.encoder if self.config.network != "unet" else None

    def on_train_epoch_start(self) -> None:
        # Dropout then follows from seed, epoch and process alone: a resumed run repeats it.
        epoch = self.current_epoch
        own = np.random.SeedSequence((self.config.seed, epoch, self.global_rank))
        torch.manual_seed(int(own.generate_state(1, np.uint64)[0]))
        if self.encoder is not None and self.config.freeze_encoder_epochs:
            learns = epoch >= self.config.freeze_encoder_epochs
            # The statistics of its BatchNorm also stay as they were pretrained.
            self.encoder.train(learns).requires_grad_(learns)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return self._step(self.network, batch, "train_")

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self._step(self.result, batch, "val_")

    def _step(self, network: nn.Module, batch: tuple[Tensor, Tensor], part: str) -> Tensor:
        images, target = batch  # (B, 3, H, W), (B, H, W)
        output = network(images)
        # The loss in float32, as bf16 sums lose small terms, and from one plane per class, which
        # its sums over pixels read much faster than channels_last.
        logits = output.to(torch.float32, memory_format=torch.contiguous_format)
        loss = self.loss(logits, target)
        check_finite(loss, self.config)
        self.losses[part].update(loss.detach(), len(images))
        self.matrices[part].update(output.detach().argmax(1), target)
        return loss

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.averaged:
            self.averaged.update_parameters(self.network)

    def on_validation_epoch_end(self) -> None:
        # Lightning validates at the end of the training epoch, so both are complete here.
        self.figures = {"lr": self.optimizers().param_groups[-1]["lr"]}
        for part in PARTS:
            metrics = Metrics.of(self.matrices[part].compute().cpu().numpy())
            self.metrics[part] = metrics
            self.figures |= {
                f"{part}loss": float(self.losses[part].compute()),
                f"{part}dice": metrics.mean_dice,
                f"{part}iou": metrics.mean_iou,
                f"{part}accuracy": metrics.accuracy,
            }
            self.matrices[part].reset()
            self.losses[part].reset()
        if self.plateau:
            self.plateau.step(self.figures["val_iou"])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.plateau:
            checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        if self.plateau:
            self.plateau.load_state_dict(checkpoint["plateau"])

    def configure_optimizers(self) -> dict[str, Any]:
        config = self.config
        special = {id(p) for p in self.encoder.parameters()} if self.encoder else set()
        rest = [p for p in self.network.parameters() if id(p) not in special]
        groups = [{"params": rest, "lr": config.lr}]
        if self.encoder:
            encoder_lr = config.lr * config.encoder_lr_factor
            groups.insert(0, {"params": list(self.encoder.parameters()), "lr": encoder_lr})
        optimizer = _OPTIMIZERS[config.optimizer](groups, config)
        schedule = make_schedule(
            optimizer,
            config.schedule,
            steps=max(1, int(self.trainer.estimated_stepping_batches)),
            warmup=config.warmup_epochs / config.epochs,
            plateau=lambda: self.plateau.factor if self.plateau else 1.0,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """A copy of the network that follows it as an exponential moving average.

    Its decay rises as (1 + n) / (10 + n) with the number n of updates up to `decay`
    (as in TensorFlow's ExponentialMovingAverage), or else the random initial weights would stay
    in it for thousands of steps. BatchNorm's statistics are averaged like the weights that they
    belong to.
    """

    @torch.no_grad()
    def follow(average: list[Tensor], current: list[Tensor], updates: Tensor) -> None:
        n = float(updates)
        if average[0].is_floating_point():
            torch._foreach_lerp_(average, current, 1 - min(decay, (1 + n) / (10 + n)))
        else:  # BatchNorm's count of batches
            torch._foreach_copy_(average, current)

    copy = AveragedModel(network, multi_avg_fn=follow, use_buffers=True)
    return copy.requires_grad_(False)


# Also the prefixes of the columns in history.csv; the underscore because a ModuleDict
# refuses keys that its own methods have, such as "train".
PARTS = ("train_", "val_")

_OPTIMIZERS = {
    "adam": lambda groups, c: torch.optim.Adam(groups, fused=True),
    "adamw": lambda groups, c: torch.optim.AdamW(groups, weight_decay=c.weight_decay, fused=True),
    "sgd": lambda groups, c: torch.optim.SGD(
        groups, momentum=0.9, nesterov=True, weight_decay=c.weight_decay
    ),
}
