"""Losses by name, all through segmentation_models_pytorch, all blind to void pixels."""

from __future__ import annotations

import math

import numpy as np
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

    Args: class_weights: float (C,); each pixel counts as much as its true class.

    Shape: logits (B, C, H, W), target int64 (B, H, W) -> scalar.
    """

    def __init__(self, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights, persistent=False)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = self.class_weights
        summed = nn.functional.cross_entropy(
            logits, target, weights, ignore_index=VOID, reduction="sum"
        )
        counted = target[target != VOID]
        total = torch.ones_like(counted).sum() if weights is None else weights[counted].sum()
        # An all-void batch sums to 0 and must stay 0.
        return summed / total.where(total > 0, 1)


class WeightedSum(nn.Module):
    """`sum_i weight_i * loss_i`."""

    def __init__(self, terms: list[tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.weights = [weight for weight, _ in terms]
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        values = [loss(logits, target) for loss in self.losses]
        return sum(weight * value for weight, value in zip(self.weights, values, strict=True))


LOSSES = ("ce", "dice")

MAX_CLASS_WEIGHT = 10.0


def balanced_weights(pixels: np.ndarray) -> Tensor:
    """Class weights that let rare classes count more, in cross-entropy.

    The square root of median frequency balancing (Eigen & Fergus 2015, arXiv 1411.4734,
    section 6.3.2), `sqrt(median frequency / frequency)`, at most `MAX_CLASS_WEIGHT`: the
    full ratio would spend a 23-class training on classes of a few hundred pixels.

    Args: pixels: int (C,), training pixels by class; classes without any get weight 1.
    Returns: float32 (C,).
    """
    pixels = torch.as_tensor(pixels, dtype=torch.float64)
    median = pixels[pixels > 0].median()
    weights = (median / pixels).sqrt().clamp(max=MAX_CLASS_WEIGHT)
    return weights.where(pixels > 0, 1).float()


def loss_by_name(name: str, class_weights: Tensor | None = None) -> nn.Module:
    """A loss such as "dice", "ce+dice" or "0.5*ce+dice".

    Args: class_weights: float (C,), for cross-entropy; Dice weighs classes equally as it is.

    Raises: `ConfigError` for a name or weight that cannot be read.
    """
    terms = []
    for term in name.split("+"):
        factor, _, kind = term.strip().rpartition("*")
        try:
            weight = float(factor or 1)
        except ValueError:
            weight = math.nan
        if kind.strip() not in LOSSES or not 0 < weight < math.inf:
            raise ConfigError(
                f"The loss '{name}' cannot be read at '{term}'. Use one of {sorted(LOSSES)}, or a "
                "sum such as 'ce+dice' or '0.5*ce+dice', with weights above 0."
            )
        terms.append((weight, CrossEntropy(class_weights) if kind.strip() == "ce" else SoftDice()))
    return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else WeightedSum(terms)
