"""What this project set out to reach on the test parts, as docs/results.md reports it.

Figures follow from what checkpoints have recorded; what is written here by hand are the goals,
and for a goal that was missed what was tried (`tried`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

import numpy as np

from model.checkpoints.folder import Checkpoint
from model.evaluation.metrics import Metrics

Figure = Callable[[Checkpoint], float]
"""A figure of a checkpoint on the test part, in [0, 1]."""


@dataclass(frozen=True)
class Goal:
    """A figure to reach on a data set.

    Attributes:
        data: the data set's name.
        what: the figure in words.
        figure: the figure itself.
        threshold: to be passed, in [0, 1].
        start: of which checkpoints the best one counts.
        above: whether the figure is to lie above the threshold, else below it.
        tried: one sentence that says what was tried, printed where the goal is missed. Whoever
            trains for it writes it; figures belong in the checkpoints.
    """

    data: str
    what: str
    figure: Figure
    threshold: float
    start: Literal["scratch", "pretrained", "any"] = "any"
    above: bool = True
    tried: str = ""

    def concerns(self, checkpoint: Checkpoint) -> bool:
        """Whether it started as the goal demands."""
        return self.start in ("any", "pretrained" if checkpoint.is_pretrained else "scratch")

    def margin(self, checkpoint: Checkpoint) -> float:
        """By how much the checkpoint passes the threshold; negative where it misses it."""
        gap = self.figure(checkpoint) - self.threshold
        return gap if self.above else -gap


def headline(name: str) -> Figure:
    """A recorded figure: "mean_iou", "accuracy"."""
    return lambda checkpoint: checkpoint.figures("test")[name]


def dice_loss(checkpoint: Checkpoint) -> float:
    """1 less the mean Dice over the classes that are in the truth.

    Unlike in `mean_dice`, a class that is predicted somewhere but never occurs does not count.
    """
    per_class = checkpoint.figures("test")["per_class"]
    pairs = zip(per_class["dice"], per_class["support"], strict=True)
    return 1 - fmean(dice for dice, support in pairs if support)


def iou_of(*names: str) -> Figure:
    """IoU of some classes taken together as one, against all others together."""

    def figure(checkpoint: Checkpoint) -> float:
        matrix = np.array(checkpoint.figures("test")["confusion_matrix"])
        inside = np.isin(checkpoint.classes.names, names)
        parts = [~inside, inside]
        return float(Metrics.of([[matrix[a][:, b].sum() for b in parts] for a in parts]).iou[1])

    return figure


_RARE = (
    "40 epochs of 504 pictures with Dice loss and cross-entropy, rare classes weighted. As many "
    "with the presets' loss and optimizer, Dice alone and Adam at 5e-4, do worse: "
    "`carla-dice-scratch` and `carla-dice-resnet34` below. Classes of a few thousand pixels cost "
    "most (the table of classes below shows which)."
)

_CAMVID = (
    "60 passes over the training pictures, enlarged to 640 pixels, in crops of 320. 36 passes at "
    "480 pixels in crops of 256 brought several points less. The preset's 100 passes remain to be "
    "done."
)

GOALS = (
    Goal("aerial", "mean IoU", headline("mean_iou"), 0.60,
         tried="A search for settings and five folds, both from scratch and on crops of 128, then "
         "both networks with what the search found, on crops of 192 from all available tiles "
         "except the test tile. More patches and longer training helped neither much; MobileNetV2, "
         "for which no settings were searched, had been no worse after a quarter of the patches "
         "with cross-entropy. Tiles differ, as the folds below show. The class unlabelled, a sixth "
         "of the mean, is never predicted."),
    Goal("camvid", "mean IoU", headline("mean_iou"), 0.589, "scratch", tried=_CAMVID),
    Goal("camvid", "mean IoU (Bayesian SegNet's)", headline("mean_iou"), 0.631, "pretrained",
         tried=_CAMVID),
    Goal("camvid", "mean IoU (FC-DenseNet103's)", headline("mean_iou"), 0.669, tried=_CAMVID),
    Goal("carla", "pixel accuracy", headline("accuracy"), 0.95, "scratch",
         tried="40 epochs of 504 pictures with Dice loss and cross-entropy, rare classes weighted, "
         "and as many with Dice loss alone: `carla-dice-scratch` below is a little more accurate "
         "and has a lower mean IoU. Most wrong pixels belong to large classes: buildings, road, "
         "vegetation and sky."),
    Goal("carla", "pixel accuracy", headline("accuracy"), 0.95, "pretrained"),
    Goal("carla", "Dice loss over the classes present", dice_loss, 0.35, "scratch",
         above=False, tried=_RARE),
    Goal("carla", "Dice loss over the classes present", dice_loss, 0.35, "pretrained",
         above=False, tried=_RARE),
    Goal("pets", "mean IoU of 3 classes", headline("mean_iou"), 0.72),
    Goal("pets", "IoU of the foreground (pet and border)", iou_of("pet", "border"), 0.88),
    Goal("roads", "IoU of the road", iou_of("road"), 0.94),
)  # fmt: skip
