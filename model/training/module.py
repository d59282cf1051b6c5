"""The training step, validation step and optimizer, for Lightning's loop."""

from __future__ import annotations

import lightning
import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassConfusionMatrix

from model.data.classes import VOID
from model.evaluation.metrics import Metrics
from model.networks.losses import loss_by_name
from model.training.config import TrainConfig


class SegmentationModule(lightning.LightningModule):
    """Trains `network` with the loss, optimizer and schedule that `config` names.

    After each epoch `figures` holds train and validation loss, Dice, IoU and accuracy, from
    confusion matrices that torchmetrics sums over batches and processes. Training figures
    are those of the augmented crops as they passed; validation figures are at the network's
    resolution. The published ones are computed anew at the original resolution.
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
        self.loss = loss_by_name(config.loss, class_weights)
        self.figures: dict[str, float] = {}
        self.matrices = nn.ModuleDict(
            {part: MulticlassConfusionMatrix(num_classes, ignore_index=VOID) for part in PARTS}
        )
        self.losses = nn.ModuleDict({part: MeanMetric() for part in PARTS})

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return self._step(batch, "train_")

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self._step(batch, "val_")

    def _step(self, batch: tuple[Tensor, Tensor], part: str) -> Tensor:
        images, target = batch  # (B, 3, H, W), (B, H, W)
        logits = self.network(images).float()  # the loss in float32: bf16 sums lose small terms
        loss = self.loss(logits, target)
        self.losses[part].update(loss.detach(), len(images))
        self.matrices[part].update(logits.detach().argmax(1), target)
        return loss

    def on_validation_epoch_end(self) -> None:
        # Lightning validates at the end of the training epoch, so both are complete here.
        self.figures = {"lr": self.optimizers().param_groups[-1]["lr"]}
        for part in PARTS:
            metrics = Metrics.of(self.matrices[part].compute().cpu().numpy())
            self.figures |= {
                f"{part}loss": float(self.losses[part].compute()),
                f"{part}dice": metrics.mean_dice,
                f"{part}iou": metrics.mean_iou,
                f"{part}accuracy": metrics.accuracy,
            }
            self.matrices[part].reset()
            self.losses[part].reset()
        self.log("val_iou", self.figures["val_iou"], prog_bar=True)

    def configure_optimizers(self):
        config = self.config
        encoder = getattr(self.network, "encoder", None) if config.network != "unet" else None
        special = {id(p) for p in encoder.parameters()} if encoder else set()
        rest = [p for p in self.network.parameters() if id(p) not in special]
        groups = [{"params": rest, "lr": config.lr}]
        if encoder:
            encoder_lr = config.lr * config.encoder_lr_factor
            groups.insert(0, {"params": list(encoder.parameters()), "lr": encoder_lr})
        optimizer = _OPTIMIZERS[config.optimizer](groups, config)
        if config.schedule == "constant":
            return optimizer
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        if config.schedule == "cosine":
            schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        else:
            schedule = torch.optim.lr_scheduler.OneCycleLR(
                optimizer, [group["lr"] for group in groups], total_steps=steps, pct_start=0.15
            )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


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
