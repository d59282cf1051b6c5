"""Is one checkpoint better than another? Both scored on the same pictures of a test split.

The figures are the pooled ones of `metrics`: mean IoU, mean Dice, accuracy, boundary IoU and
recall of objects over the whole split. What remains uncertain is the choice of pictures;
resampling them says by how much the difference would change with another choice. The interval
holds for these weights, not for another training of the same network.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from model.checkpoints.folder import Checkpoint
from model.data import splits
from model.data.datasets import DataSet
from model.evaluation import significance
from model.evaluation.boundary import BoundaryQuality
from model.evaluation.calibration import Calibration
from model.evaluation.evaluate import Evaluation
from model.evaluation.metrics import Metrics, accuracy, class_figures, class_iou, mean_of_known
from model.evaluation.objects import SIZES, ObjectRecall, recall
from model.evaluation.pictures import SCORES, Pictures, read_pictures
from model.words import CLASS_FIGURES

MOST_UNCERTAIN = 0.05
"""The test reports a difference up to this p-value."""


class Sureness(StrEnum):
    """How surely one model is better, by the interval and the test together.

    Both must see a difference for it to be clear: from few units (blocks of neighbours above all)
    a bootstrap excludes 0 somewhat too often where nothing differs. Source: A. Cameron,
    J. Gelbach, D. Miller, "Bootstrap-Based Improvements for Inference with Clustered Errors",
    Review of Economics and Statistics 90 (2008). The permutation test keeps its rate of error
    with any number of units, but overlooks more where few of them hold a rare class. So what only
    one of the two sees is called probable: to call it no difference would mistake missing
    evidence for evidence. Source: D. Altman, J. Bland, "Absence of Evidence Is Not Evidence of
    Absence", BMJ 311 (1995).

    Measured on the 12 blocks of the CARLA pair, in each of which the models changed places by the
    toss of a coin, so that nothing differs: the interval excluded 0 in 6.7 % of 1,500 cases,
    the test found a difference in 4.1 %, both in 3.1 %, one of them or both in 7.8 %.
    """

    CLEAR = "yes"
    PROBABLE = "probably"
    NOT_SHOWN = "no"


@dataclass(frozen=True)
class Protocol:
    """What figures were measured on, and how.

    Attributes:
        data, title: the data set's name and its name in words.
        digest, split_digest, split_rule: of its content and of its split; "" if unknown.
        classes: the names of the classes.
        part: of the split.
        pictures: how many; 0 if unknown.
        resolution: at which masks were compared.
        engine, precision: what computed the predictions.
    """

    data: str
    title: str
    digest: str
    split_digest: str
    split_rule: str
    classes: tuple[str, ...]
    part: str = "test"
    pictures: int = 0
    resolution: str = "original"
    engine: str = ""
    precision: str = "f32"

    @property
    def short_title(self) -> str:
        """The data set's short name: "Oxford-IIIT Pet"."""
        return (self.title or self.data).partition(",")[0]


@dataclass(frozen=True)
class Scored:
    """What is known of a model on one part of one data set.

    Attributes:
        metrics: pooled over all pictures.
        pictures: scores of single pictures; empty if they were not kept.
        boundary, calibration, objects: None if they were not measured.
    """

    protocol: Protocol
    metrics: Metrics
    pictures: Pictures
    boundary: BoundaryQuality | None = None
    calibration: Calibration | None = None
    objects: ObjectRecall | None = None


@dataclass(frozen=True)
class Difference:
    """A score of two models on the same pictures.

    Attributes:
        score: "mean_iou", "mean_dice", "accuracy", "boundary_iou" or "object_recall".
        first, second: in [0, 1].
        low, high: 95 % interval of first less second.
        p: of the paired permutation test, two-sided.
    """

    score: str
    first: float
    second: float
    low: float
    high: float
    p: float

    @property
    def gap(self) -> float:
        return self.first - self.second

    @property
    def excludes_zero(self) -> bool:
        """The interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    @property
    def sureness(self) -> Sureness:
        """Clear if both interval and test see a difference, probable if one of them does."""
        match self.excludes_zero + (self.p <= MOST_UNCERTAIN):
            case 2:
                return Sureness.CLEAR
            case 1:
                return Sureness.PROBABLE
        return Sureness.NOT_SHOWN


@dataclass(frozen=True)
class Comparison:
    """Two models on the pictures that both were scored on.

    Attributes:
        pictures: how many.
        units, block_length: how many units were drawn, and of how many neighbouring pictures
            they were meant to be; as many as pictures, and 1, where pictures are independent.
        first_ahead: on how many pictures the first has the higher mean IoU.
        pooled: scores are pooled over pixels; False: means over pictures, for checkpoints
            that kept no counts.
        differences: by score, those that both have.
        class_intervals: by figure (see `CLASS_FIGURES`) low and high of first less second,
            float64 (2, C), NaN for classes that do not occur; empty unless `pooled`.
    """

    pictures: int
    units: int
    block_length: int
    first_ahead: int
    pooled: bool
    differences: dict[str, Difference]
    class_intervals: dict[str, np.ndarray] = field(default_factory=dict)


def recorded_protocol(checkpoint: Checkpoint) -> Protocol:
    """What a checkpoint's own figures are, or will be, measured on."""
    data = checkpoint.description.get("data", {})
    figures = checkpoint.figures("test") or {}
    return Protocol(
        data=checkpoint.data_name,
        title=str(data.get("title") or ""),
        digest=str(data.get("digest") or ""),
        split_digest=str(data.get("split_digest") or ""),
        split_rule=str(data.get("split_rule") or ""),
        classes=tuple(checkpoint.classes.names),
        pictures=int(figures.get("num_images", 0)),
        resolution=str(figures.get("resolution", "original")),
        engine=str(figures.get("engine", "")),
        precision=str(figures.get("precision", "f32")),
    )


def recorded(checkpoint: Checkpoint) -> Scored | None:
    """The figures that a checkpoint comes with: of its test split, in float32.

    None if it has none: the run is not finished, or `metrics.json` is damaged.
    """
    metrics = split_metrics(checkpoint)
    if metrics is None:
        return None
    figures = checkpoint.metrics["splits"]["test"]["f32"]
    return Scored(
        recorded_protocol(checkpoint),
        metrics,
        read_pictures(checkpoint.per_image(), len(checkpoint.classes)),
        _optional(BoundaryQuality.from_json, figures, "boundary"),
        _optional(Calibration.from_json, figures, "calibration"),
        _optional(ObjectRecall.from_json, figures, "objects"),
    )


def measured(evaluation: Evaluation, data: DataSet) -> Scored:
    """Figures that were measured just now, on the test split."""
    protocol = Protocol(
        data=data.name,
        title=data.title,
        digest=data.digest(),
        split_digest=splits.digest(data.split),
        split_rule=data.split_rule,
        classes=tuple(data.classes.names),
        pictures=len(evaluation.per_image),
        engine=evaluation.engine,
        precision=evaluation.precision,
    )
    return Scored(
        protocol,
        evaluation.metrics,
        read_pictures(evaluation.per_image, len(data.classes)),
        evaluation.boundary,
        evaluation.calibration,
        evaluation.objects,
    )


def split_metrics(checkpoint: Checkpoint) -> Metrics | None:
    """The figures of a checkpoint on its test split, in float32.

    They follow from the confusion matrix in `metrics.json` alone. None if it has none: the
    run is not finished, or the file is damaged.
    """
    try:
        matrix = np.array(checkpoint.metrics["splits"]["test"]["f32"]["confusion_matrix"])
    except (KeyError, TypeError, ValueError):
        return None
    size = len(checkpoint.classes)
    if matrix.shape != (size, size) or matrix.dtype.kind != "i":
        return None
    if matrix.min() < 0 or matrix.sum() == 0:
        return None
    return Metrics.of(matrix)


def mismatches(names: tuple[str, str], first: Protocol, second: Protocol) -> list[str]:
    """Why two models' figures must not be compared, as sentences; empty if they may."""
    pair = " and ".join(names)
    reasons = []
    if first.classes != second.classes:
        reasons.append(f"{pair} know different classes.")
    if first.data != second.data or first.digest != second.digest:
        reasons.append(f"{pair} were scored on different data: equal scores would mean nothing.")
    elif first.split_digest != second.split_digest or first.part != second.part:
        reasons.append(f"{pair} were scored on different splits of the data.")
    if first.resolution != second.resolution:
        reasons.append(
            f"{pair} were scored at different resolutions: {first.resolution} and "
            f"{second.resolution}."
        )
    return reasons


SETTINGS = (
    *("loss", "class_weights", "optimizer", "lr", "schedule", "weight_decay", "warmup_epochs"),
    *("ema", "dropout", "augment", "turn", "crop", "batch_size", "accumulate", "keep"),
)
"""Of `TrainConfig`, those that a fair pair has in common, whatever its networks are. Its arithmetic
as well, which follows from `precision` and the processor."""


def cautions(names: tuple[str, str], first: Checkpoint, second: Checkpoint) -> list[str]:
    """What else is to be known of two checkpoints that may be compared, as sentences."""
    learned = [
        f"{name} has learned from the validation pictures too."
        for name, checkpoint in zip(names, (first, second), strict=True)
        if checkpoint.learned_from_validation
    ]
    return learned + unlike(names, first, second)


def unlike(names: tuple[str, str], first: Checkpoint, second: Checkpoint) -> list[str]:
    """How the trainings of two checkpoints differ, as far as they recorded it, as sentences."""
    found = []
    sides = [c.preprocessing.longest_side for c in (first, second)]
    if sides[0] != sides[1]:
        found.append(
            f"{names[0]} sees pictures at {_side(sides[0])}, {names[1]} at {_side(sides[1])}; "
            "both are scored at the pictures' own resolution."
        )
    limits = [c.description.get("training", {}).get("limit") for c in (first, second)]
    if limits[0] != limits[1]:
        first_many, second_many = (limit if limit else "all" for limit in limits)
        found.append(
            f"They learned from different numbers of pictures: {names[0]} from {first_many}, "
            f"{names[1]} from {second_many}."
        )
    for name, checkpoint in zip(names, (first, second), strict=True):
        if before := checkpoint.description.get("training", {}).get("before"):
            epochs = before.get("epochs_done", "some")
            found.append(f"{name} was continued from an earlier run of {epochs} epochs.")
    settings = [c.description.get("training", {}) for c in (first, second)]
    known = [n for n in (*SETTINGS, "arithmetic") if all(n in s for s in settings)]
    if other := [name for name in known if _differ(name, settings)]:
        found.append(f"Their training settings differ in {_in_words(other)}.")
    for name, own, others in zip(names, settings, reversed(settings), strict=True):
        if own and (lost := [n for n in SETTINGS if n in others and n not in own]):
            found.append(
                f"{name} was trained by an earlier version of this program, which did not record "
                f"{_in_words(lost)}; they may differ."
            )
    seen = [pictures_seen(checkpoint) for checkpoint in (first, second)]
    if None not in seen and seen[0] != seen[1]:
        found.append(
            f"They were trained for different lengths: {names[0]} saw {seen[0]:,} pictures, "
            f"{names[1]} {seen[1]:,}, repeats included."
        )
    return found


def _in_words(settings: list[str]) -> str:
    return ", ".join(settings).replace("_", " ")


def _differ(name: str, settings: list[Mapping[str, Any]]) -> bool:
    return settings[0][name] != settings[1][name]


def pictures_seen(checkpoint: Checkpoint) -> int | None:
    """Pictures that a training run saw, over all its epochs; None if it does not say."""
    training = checkpoint.description.get("training", {})
    every = checkpoint.description.get("data", {}).get("split_sizes", {}).get("train")
    length = training.get("pictures_per_epoch") or every
    epochs = training.get("epochs_done")
    return epochs * length if epochs and length else None


def compare(
    first: Pictures, second: Pictures, *, resamples: int = significance.RESAMPLES, seed: int = 0
) -> Comparison:
    """Compares two models on the pictures that both have scores for.

    Raises: `ConfigError` if these are fewer than two, or neighbours all of them.
    """
    names = set(first.names) & set(second.names)
    first, second = first.only(names), second.only(names)
    gaps = first.scores["mean_iou"] - second.scores["mean_iou"]
    unit_of, length = significance.blocks(first.sequences, gaps)
    pooled = first.pixels is not None and second.pixels is not None
    counts, statistic = _pooled(first, second) if pooled else _mean_of_pictures(first, second)
    ours, theirs = (significance.sum_units(values, unit_of) for values in counts)
    significance.check_units(ours, theirs)

    scores = _score_names(first, second) if pooled else list(SCORES)

    def without_classes(sums: np.ndarray) -> np.ndarray:
        return statistic(sums)[:, : len(scores)]

    drawn = significance.bootstrap(ours, theirs, statistic, resamples=resamples, seed=seed)
    low, high = significance.interval(drawn, len(ours))
    permuted = significance.permutation(
        ours, theirs, without_classes, resamples=resamples, seed=seed
    )
    sums = [side.sum(0, keepdims=True).astype(np.float64) for side in (ours, theirs)]
    values = [statistic(side)[0] for side in sums]
    differences = {
        name: Difference(
            name,
            float(values[0][i]),
            float(values[1][i]),
            float(low[i]),
            float(high[i]),
            significance.p_value(values[0][i] - values[1][i], permuted[:, i]),
        )
        for i, name in enumerate(scores)
        if not np.isnan([values[0][i], values[1][i]]).any()
    }
    ends = np.stack([low, high])[:, len(scores) :]
    classes = ends.shape[1] // len(CLASS_FIGURES)
    return Comparison(
        pictures=len(first),
        units=len(ours),
        block_length=length,
        first_ahead=int((gaps > 0).sum()),
        pooled=pooled,
        differences=differences,
        class_intervals={
            name: ends[:, i * classes : (i + 1) * classes]
            for i, name in enumerate(CLASS_FIGURES)
            if classes
        },
    )


def _score_names(first: Pictures, second: Pictures) -> list[str]:
    names = list(SCORES)
    if first.contours is not None and second.contours is not None:
        names.append("boundary_iou")
    if first.objects is not None and second.objects is not None:
        names.append("object_recall")
    return names


Statistic = Callable[[np.ndarray], np.ndarray]


def _pooled(first: Pictures, second: Pictures) -> tuple[tuple[np.ndarray, np.ndarray], Statistic]:
    """Counts of the pictures, int64 (N, K) each, and the scores that follow from their sums:
    those of `_score_names`, then each of `CLASS_FIGURES` for each class."""
    names = _score_names(first, second)
    groups = ["pixels"]
    groups += ["contours"] * ("boundary_iou" in names) + ["objects"] * ("object_recall" in names)
    counts = tuple(
        np.concatenate([_flat(getattr(side, group)) for group in groups], 1)
        for side in (first, second)
    )
    classes = first.pixels.shape[2]
    width = 3 * classes

    def statistic(sums: np.ndarray) -> np.ndarray:
        pixels = sums[:, :width].reshape(len(sums), 3, classes)
        figures = class_figures(pixels)
        columns = [*(mean_of_known(figures[name]) for name in ("iou", "dice")), accuracy(pixels)]
        if "boundary_iou" in names:
            contours = sums[:, width : 2 * width].reshape(len(sums), 3, classes)
            columns.append(mean_of_known(class_iou(contours)))
        if "object_recall" in names:
            columns.append(recall(sums[:, -2 * len(SIZES) :].reshape(len(sums), 2, len(SIZES))))
        return np.concatenate([np.stack(columns, 1), *figures.values()], 1)

    return counts, statistic


def _flat(counts: np.ndarray) -> np.ndarray:
    """(N, ...) -> (N, K), also for no picture at all."""
    return counts.reshape(len(counts), math.prod(counts.shape[1:]))


def _mean_of_pictures(
    first: Pictures, second: Pictures
) -> tuple[tuple[np.ndarray, np.ndarray], Statistic]:
    """The scores of the pictures, each with a 1 to count by, and the function for their mean."""
    counts = tuple(
        np.stack([*side.scores.values(), np.ones(len(side))], 1) for side in (first, second)
    )
    return counts, lambda sums: sums[:, :-1] / sums[:, -1:]


def _optional(read: Callable, figures: dict, section: str):
    """None for what an older version did not measure, and for what is damaged."""
    try:
        return read(figures[section])
    except (KeyError, TypeError, ValueError):
        return None


def _side(longest_side: int | None) -> str:
    return f"{longest_side} pixels" if longest_side else "their own size"
