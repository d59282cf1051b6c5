"""Losses by name, all through segmentation_models_pytorch, all blind to void pixels."""

from __future__ import annotations

import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from model.data.classes import VOID
from model.errors import ConfigError


class SoftDice(nn.Module):
    """1 - soft Dice, averaged over the classes that occur in the batch's truth.

    Per class `1 - 2 |p t| / (|p| + |t|)` with softmax probabilities p summed over the whole
    batch (Milletari et al. 2016, arXiv 1606.04797). smp's own mean divides by all classes:
    with 23 classes of which a batch shows 12, absent ones would sit in the mean at a
    constant and hide the progress of the others. Classes that do not occur are left out.

    Shape: logits (B, C, H, W), target int64 (B, H, W) with `VOID` ignored -> scalar.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = smp.losses.DiceLoss("multiclass", ignore_index=VOID, smooth=0.0)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        num_classes = logits.shape[1]
        present = torch.bincount(target[target != VOID], minlength=num_classes).count_nonzero()
        # smp sets absent classes to 0 and takes the mean over all: undo its divisor.
        return self.loss(logits, target) * num_classes / present.clamp(min=1)


class CrossEntropy(nn.Module):
    """Mean cross-entropy over the pixels that are not void; 0 if all are.

    Shape: logits (B, C, H, W), target int64 (B, H, W) -> scalar.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        summed = nn.functional.cross_entropy(logits, target, ignore_index=VOID, reduction="sum")
        return summed / (target != VOID).sum().clamp(min=1)


class WeightedSum(nn.Module):
    """`sum_i weight_i * loss_i`."""

    def __init__(self, terms: list[tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.weights = [weight for weight, _ in terms]
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        values = [loss(logits, target) for loss in self.losses]
        return sum(weight * value for weight, value in zip(self.weights, values, strict=True))


LOSSES = {"ce": CrossEntropy, "dice": SoftDice}


def loss_by_name(name: str) -> nn.Module:
    """A loss such as "dice", "ce+dice" or "0.5*ce+dice".

    Raises: `ConfigError` for a name or weight that cannot be read.
    """
    terms = []
    for term in name.split("+"):
        weight, _, kind = term.strip().rpartition("*")
        try:
            terms.append((float(weight or 1), LOSSES[kind.strip()]()))
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"The loss '{name}' cannot be read at '{term}'. Use one of {sorted(LOSSES)}, or a "
                "sum such as 'ce+dice' or '0.5*ce+dice'."
            ) from error
    return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else WeightedSum(terms)
