"""`Segmenter`: a checkpoint that segments pictures. The one way from a picture to labels."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from model.checkpoints import folder, zoo
from model.checkpoints.folder import Checkpoint
from model.data.classes import ClassTable
from model.data.images import Source, decode
from model.errors import ConfigError, ImageError, StudioError
from model.inference import components, tiling
from model.inference.augment import Look
from model.inference.engines import make_engine
from model.inference.options import SegmentOptions
from model.inference.resampling import Maps, Painter

Picture = Source | np.ndarray
"""A path, the file's bytes, a binary file, or RGB uint8 (H, W, 3)."""

_DEFAULTS = SegmentOptions()


class Cancelled(StudioError):
    """Somebody no longer wants the segmentation."""


@dataclass(frozen=True)
class Segmentation:
    """What a network sees in a picture.

    Attributes:
        labels: uint8 (H, W) class ids, at the picture's own size.
        classes: what the ids mean.
        model: name of the checkpoint.
        engine, precision: what computed it, e.g. "openvino", "f32".
        confidence: float16 (H, W) in [0, 1], softmax probability of the chosen class; None
            unless asked for. Where a small region was removed, of the class before that.
        entropy: float16 (H, W) in [0, 1], entropy of the class probabilities, divided by that
            of equally probable classes; None unless asked for.
        probabilities: float16 (C, H, W) in [0, 1], softmax; None unless asked for.
        milliseconds: wall time by step: "decode", "network", "labels".
    """

    labels: np.ndarray
    classes: ClassTable
    model: str
    engine: str
    precision: str
    confidence: np.ndarray | None = None
    entropy: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)

    def shares(self) -> np.ndarray:
        """Fraction of the picture's pixels per class, float64 (C,), sums to 1."""
        return self.pixels() / max(self.labels.size, 1)

    def pixels(self) -> np.ndarray:
        """Pixels per class, int64 (C,)."""
        return np.rint(self._sums()).astype(np.int64)

    def mean_confidences(self) -> np.ndarray:
        """Mean confidence per class over its own pixels, float64 (C,), NaN for absent classes.

        Raises `ValueError` if the confidence was not asked for.
        """
        if self.confidence is None:
            raise ValueError("segment(..., confidence=True) is needed for confidences")
        with np.errstate(invalid="ignore"):
            return self._sums(self.confidence) / self.pixels()

    def _sums(self, weights: np.ndarray | None = None) -> np.ndarray:
        """Pixels, or their weights, summed by class."""
        total = np.zeros(len(self.classes))
        rows = 1 + 2**20 // self.labels.shape[1]  # bincount needs 8 or 16 bytes a pixel
        for start in range(0, len(self.labels), rows):
            band = slice(start, start + rows)
            part = None if weights is None else weights[band].ravel()
            total += np.bincount(self.labels[band].ravel(), part, minlength=len(total))
        return total


class Segmenter:
    """Segments pictures with one checkpoint, or several together. Safe to share between threads.

    Several checkpoints, such as the folds of a cross-validation, are an ensemble: the mean of
    their softmax probabilities counts. A checkpoint that lists `members` in its
    `segmentation.json`, checkpoint folders within its own, is one together with them.

    Args:
        model: a name in `weights/`, a checkpoint folder's path, `owner/name[@revision]` on the
            Hub, or a `Checkpoint`; or a list of these.
        engine: "auto", "openvino" or "torch".
        precision: "auto", "f32", "bf16" or "int8"; see `model.inference.engines.make_engine`.

    Raises: `UnknownModelError`, `CheckpointError`; `ConfigError` also for checkpoints that do
        not go together.

    >>> segmenter = Segmenter("pets-mobilenet")             # doctest: +SKIP
    >>> segmenter.segment("cat.jpg").labels.shape           # doctest: +SKIP
    (480, 640)
    """

    def __init__(
        self,
        model: str | Path | Checkpoint | Sequence[str | Path | Checkpoint],
        *,
        engine: str = "auto",
        precision: str = "auto",
    ) -> None:
        models = model if isinstance(model, list | tuple) else [model]
        named = [_checkpoint(one) for one in models]
        if not named:
            raise ConfigError("An ensemble needs at least one checkpoint.")
        self.name = " + ".join(checkpoint.name for checkpoint in named)
        self.checkpoint = named[0]
        self.members = [member for checkpoint in named for member in folder.members(checkpoint)]
        for member in self.members:
            for what in ("classes", "preprocessing"):
                if getattr(member, what) != getattr(self.checkpoint, what):
                    raise ConfigError(
                        f"{member.name} and {self.checkpoint.name} cannot be averaged: "
                        f"their {what} differ."
                    )
        self._engines = [make_engine(member, engine, precision) for member in self.members]
        # One picture at a time: an engine already uses all cores for one.
        self._lock = threading.Lock()

    @property
    def classes(self) -> ClassTable:
        return self.checkpoint.classes

    @property
    def engine(self) -> str:
        return self._engines[0].name

    @property
    def precisions(self) -> list[str]:
        """Of each of `members`."""
        return [engine.precision for engine in self._engines]

    @property
    def precision(self) -> str:
        """Of an ensemble whose members differ in it, all: "bf16 + f32"."""
        return " + ".join(dict.fromkeys(self.precisions))

    @property
    def memory_bytes(self) -> int:
        """What its engines keep in memory, as far as they know."""
        return sum(engine.memory_bytes for engine in self._engines)

    def segment(
        self,
        picture: Picture,
        options: SegmentOptions = _DEFAULTS,
        *,
        confidence: bool = False,
        progress: Callable[[float], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> Segmentation:
        """Segments one picture, of any size.

        Args:
            picture: path, bytes, binary file, or RGB array uint8 (H, W, 3).
            options: how.
            confidence: short for `SegmentOptions(confidence=True)`.
            progress: called from time to time with the finished fraction, up to 1.
            cancelled: asked from time to time whether to give up.

        Raises: `ImageError` if it cannot be read as a picture, `ConfigError` for options that
            do not suit the checkpoint, `Cancelled`.
        """
        if confidence:
            options = replace(options, confidence=True)
        options.check(self.classes)
        watch = _Watch()
        image = picture if isinstance(picture, np.ndarray) else decode(picture)
        watch.lap("decode")
        view = self._view(image, options)
        maps = Maps.empty(image.shape[:2], options, len(self.classes))
        # Blocks come row by row, and what a row of them shares with the next is kept: rows
        # should not be the longer side of a panorama.
        height, width = view.grid.size_hw
        along = width > 2 * height
        painter = (
            Painter(maps.transposed(), (width, height)) if along else Painter(maps, (height, width))
        )
        blocks = self._blocks(view, transposed=along, cancelled=cancelled)
        for done, (y, x, logits) in enumerate(blocks, 1):
            watch.lap("network")
            painter.add(y, x, logits)
            watch.lap("labels")
            if progress is not None:
                progress(done / len(view.grid))
        labels = maps.labels
        least_areas = options.least_areas(self.classes)
        if any(least_areas):
            labels = components.without_small(labels, least_areas)
        watch.lap("labels")
        return Segmentation(
            labels=labels,
            classes=self.classes,
            model=self.name,
            engine=self.engine,
            precision=self.precision,
            confidence=maps.confidence,
            entropy=maps.entropy,
            probabilities=maps.probabilities,
            milliseconds=watch.milliseconds,
        )

    def _view(self, image: np.ndarray, options: SegmentOptions) -> _View:
        """Brings a picture to the network's scale and lays tiles over it."""
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ImageError(
                f"The array is {image.dtype} {image.shape}; expected uint8 (H, W, 3), RGB."
            )
        trained = self.checkpoint.preprocessing
        own_scale = replace(trained, size_policy="pad", longest_side=None)
        fitted = image if options.scale == "native" else trained.fit_image(image)
        magnified = max([1.0, *options.zooms])
        tile = options.tile
        if tile is None and trained.size_policy == "tile":
            tile = tiling.shrunk(trained.tile, magnified, trained.multiple)
        grid = tiling.Grid.over(
            fitted.shape[:2],
            tile=tile,
            overlap=options.overlap,
            multiple=trained.multiple,
            magnified=magnified,
        )
        networks = [self._alone(engine.logits) for engine in self._engines]
        return _View(grid, Look(networks, own_scale, image, fitted, options))

    def _alone(self, run: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
        def run_alone(batch: np.ndarray) -> np.ndarray:
            with self._lock:
                return run(batch)

        return run_alone

    def _blocks(
        self,
        view: _View,
        *,
        transposed: bool = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[tuple[int, int, np.ndarray]]:
        """Finished blocks of logits; see `tiling.blended`."""

        def predict(rows: slice, columns: slice) -> np.ndarray:
            if cancelled is not None and cancelled():
                raise Cancelled("The segmentation was cancelled.")
            if transposed:
                return view.look.logits(columns, rows).transpose(0, 2, 1)
            return view.look.logits(rows, columns)

        return tiling.blended(view.grid.transposed() if transposed else view.grid, predict)


@dataclass(frozen=True)
class _View:
    grid: tiling.Grid
    look: Look


class _Watch:
    """Wall time by step; each lap is added to its step."""

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        now = time.perf_counter()
        self.milliseconds[step] = self.milliseconds.get(step, 0.0) + 1e3 * (now - self._last)
        self._last = now


def _checkpoint(model: str | Path | Checkpoint) -> Checkpoint:
    if isinstance(model, Checkpoint):
        return model
    return folder.read(model) if isinstance(model, Path) else zoo.find(model)
