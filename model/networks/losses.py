"""Losses by name, all through segmentation_models_pytorch, all blind to void pixels.

Two kinds, which weighted sums such as `ce+dice` join:

- Pixel losses (`ce`, `bce`, `focal`) are means over the pixels that are not void.
- Overlap losses (`dice`, `jaccard`, `tversky`, `lovasz`) compare whole regions, and are means
  over the classes that occur in the batch's truth. An absent class has no region to overlap
  with: its overlap is 0 / 0. Counted as a loss of 1 it would be a constant that nothing can
  lower (with 23 classes of which a batch shows 12, the loss could not fall below 11/23 = 0.48);
  counted as 0 it would make the loss look better the fewer classes a batch shows. Either way the
  other classes' progress is diluted by classes that are not there. So they are left out.

Where several processes train together, each divides by the mean of their counts, and overlaps are
of their joint regions: the mean of their losses, which they descend, is the loss of the one batch
that they share. Only `lovasz`, which sorts all pixels, is each process's own.

docs/training.md says which loss is for what.
"""

from __future__ import annotations

import difflib
import math

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, distributed, nn

from model.data.classes import VOID
from model.errors import ConfigError


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
        total = _mean_over_processes(self, total)
        # An all-void batch sums to 0 and must stay 0.
        return summed / total.where(total > 0, 1)


class BinaryCrossEntropy(nn.Module):
    """Each class against all others by a sigmoid: summed over classes, mean over pixels.

    Summed over classes, as in RetinaNet (arXiv 1708.02002, section 4): a mean would shrink with
    every class that is not in the picture, whose absence is soon learned.

    Shape: logits (B, C, H, W), target int64 (B, H, W) with `VOID` ignored -> scalar.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = smp.losses.SoftBCEWithLogitsLoss(ignore_index=VOID, reduction="sum")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.loss(logits, _planes(logits, target)) / _counted(self, target)


class Focal(nn.Module):
    """Focal loss: `BinaryCrossEntropy` with each term weighted by (1 - p)^2.

    p is the probability of the truth, so pixels that are already right hardly count
    (Lin et al. 2017, arXiv 1708.02002; gamma 2 as there, without its alpha).

    Shape: logits (B, C, H, W), target int64 (B, H, W) with `VOID` ignored -> scalar.
    """

    def __init__(self) -> None:
        super().__init__()
        # Its mode "multiclass" computes the same, class by class: 1.5 times as slowly.
        self.loss = smp.losses.FocalLoss("binary", gamma=2.0, ignore_index=VOID, reduction="sum")

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.loss(logits, _planes(logits, target)) / _counted(self, target)


class Overlap(nn.Module):
    """One of smp's region losses, averaged over the classes that occur in the batch's truth.

    smp sets absent classes to 0 but divides by the number of all of them.

    It gets three "pixels" for each class: one with all that truth and prediction have in common,
    one with all that is predicted only, and one with all that is true only. Its sums are the same
    as from the pictures, they can be added over processes, and they take less than half the time
    of smp's own way from class ids.

    Args: loss: smp's, for mode "multilabel" with `from_logits=False` and no smoothing.

    Shape: logits (B, C, H, W), target int64 (B, H, W) -> scalar.
    """

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        counted = (target != VOID)[:, None]
        probabilities = logits.softmax(1)
        if not counted.all():
            probabilities = probabilities * counted
        truth = torch.zeros_like(probabilities)  # (B, C, H, W)
        truth.scatter_(1, target[:, None].where(counted, 0), counted.to(truth.dtype))
        planes = probabilities * truth, probabilities, truth
        sums = torch.stack([plane.sum((0, 2, 3)) for plane in planes])  # (3, C)
        if _several(self):
            # The gradients that processes find are averaged, where these have to be added.
            count = distributed.get_world_size()
            sums = _summed(sums.detach()) + count * (sums - sums.detach())
        common, predicted, true = sums
        nothing = torch.zeros_like(common)
        output = torch.stack([common, predicted - common, nothing], 1)[None]  # (1, C, 3)
        target = torch.stack([common, nothing, true - common], 1)[None]
        present = (true > 0).sum().clamp(min=1)
        return self.loss(output, target) * len(true) / present


class SoftDice(Overlap):
    """1 - soft Dice: per class `1 - 2 |p t| / (|p| + |t|)`, p summed over the whole batch.

    Milletari et al. 2016, arXiv 1606.04797; softmax probabilities p, truth t.
    """

    def __init__(self) -> None:
        super().__init__(smp.losses.DiceLoss("multilabel", from_logits=False))


class SoftJaccard(Overlap):
    """1 - soft IoU: per class `1 - |p t| / (|p| + |t| - |p t|)`.

    Rahman & Wang 2016, "Optimizing intersection-over-union in deep neural networks".
    """

    def __init__(self) -> None:
        super().__init__(smp.losses.JaccardLoss("multilabel", from_logits=False))


class Tversky(Overlap):
    """1 - Tversky index: `1 - TP / (TP + 0.3 FP + 0.7 FN)` per class, all of them soft.

    Misses cost more than false alarms, which helps small or thin classes (Salehi et al. 2017,
    arXiv 1706.05721, whose best weights these are). With 0.5 and 0.5 it is Dice.
    """

    def __init__(self) -> None:
        super().__init__(
            smp.losses.TverskyLoss("multilabel", from_logits=False, alpha=0.3, beta=0.7)
        )


class Lovasz(nn.Module):
    """Lovász-Softmax: a convex surrogate of 1 - IoU, averaged over the classes that occur.

    Berman et al. 2018, arXiv 1705.08790. It sorts all pixels for each class: the slowest here.

    Shape: logits (B, C, H, W), target int64 (B, H, W) with `VOID` ignored -> scalar.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = smp.losses.LovaszLoss("multiclass", ignore_index=VOID)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        # For a batch of nothing but void smp returns an empty array: its sum is 0.
        return self.loss(logits, target).sum()


class WeightedSum(nn.Module):
    """`sum_i weight_i * loss_i`."""

    def __init__(self, terms: list[tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.weights = [weight for weight, _ in terms]
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        values = [loss(logits, target) for loss in self.losses]
        return sum(weight * value for weight, value in zip(self.weights, values, strict=True))


LOSSES: dict[str, type[nn.Module]] = {
    "ce": CrossEntropy,
    "bce": BinaryCrossEntropy,
    "focal": Focal,
    "dice": SoftDice,
    "jaccard": SoftJaccard,
    "tversky": Tversky,
    "lovasz": Lovasz,
}

MAX_CLASS_WEIGHT = 10.0


def balanced_weights(pixels: np.ndarray) -> Tensor:
    """Class weights that let rare classes count more, in cross-entropy.

    The square root of median frequency balancing (Eigen & Fergus 2015, arXiv 1411.4734,
    section 6.3.2), `sqrt(median frequency / frequency)`, at most `MAX_CLASS_WEIGHT`: the
    full ratio would spend a 23-class training on classes of a few hundred pixels. Frequencies are
    shares of all pixels; the paper's are of those pictures alone in which the class occurs.

    Args: pixels: int (C,), training pixels by class; classes without any get weight 1.
    Returns: float32 (C,).
    """
    pixels = torch.as_tensor(pixels, dtype=torch.float64)
    median = pixels[pixels > 0].median()
    weights = (median / pixels).sqrt().clamp(max=MAX_CLASS_WEIGHT)
    return weights.where(pixels > 0, 1).float()


def loss_by_name(name: str, class_weights: Tensor | None = None) -> nn.Module:
    """A loss such as "dice", "ce+dice" or "0.5*ce+dice".

    Args: class_weights: float (C,), for cross-entropy; the other losses take none.

    Raises: `ConfigError` for a name or weight that cannot be read.
    """
    terms = []
    for term in name.split("+"):
        factor, _, kind = (part.strip() for part in term.rpartition("*"))
        try:
            weight = float(factor or 1)
        except ValueError:
            weight = math.nan
        if kind not in LOSSES or not 0 < weight < math.inf:
            near = difflib.get_close_matches(kind, LOSSES.keys() - {kind})
            hint = f" Perhaps you meant '{near[0]}'." if near and kind not in LOSSES else ""
            raise ConfigError(
                f"--loss: '{name}' cannot be read at '{term}'.{hint} Use one of {list(LOSSES)}, or "
                "a sum such as 'ce+dice' or '0.5*ce+dice', with weights above 0."
            )
        loss = CrossEntropy(class_weights) if kind == "ce" else LOSSES[kind]()
        terms.append((weight, loss))
    return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else WeightedSum(terms)


def _planes(logits: Tensor, target: Tensor) -> Tensor:
    """Each class as 1 against all others as 0, void as `VOID`: like the logits, (B, C, H, W)."""
    ids = torch.arange(logits.shape[1], device=target.device).view(1, -1, 1, 1)
    planes = (target[:, None] == ids).to(logits.dtype)
    return planes.masked_fill(target[:, None] == VOID, VOID)


def _several(loss: nn.Module) -> bool:
    """Whether several processes take this step together; they need not validate in step."""
    return loss.training and distributed.is_available() and distributed.is_initialized()


def _mean_over_processes(loss: nn.Module, total: Tensor) -> Tensor:
    """A total without gradient, or in a step that processes share the mean of theirs."""
    if not _several(loss):
        return total
    return _summed(total.float()) / distributed.get_world_size()


def _summed(values: Tensor) -> Tensor:
    """Over the processes."""
    values = values.clone()
    distributed.all_reduce(values)
    return values


def _counted(loss: nn.Module, target: Tensor) -> Tensor:
    """How many pixels count; 1 if none does, for a sum of 0 to be divided by."""
    total = _mean_over_processes(loss, (target != VOID).sum())
    return total.where(total > 0, 1)
