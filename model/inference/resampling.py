"""From logits at the network's resolution to maps at the picture's: class, confidence, entropy.

Nothing here is ever as large as (C, H, W), unless all probabilities are requested: pictures are
processed in blocks.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from model.inference.options import SegmentOptions
from model.processor import available_cores

BLOCK_VALUES = 1 << 20
"""Logits in one block of the picture: few enough to stay in the processor's cache."""

MIXED = 255
"""In place of a class: several could win between these four logits."""


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(available_cores(), "maps")


class Axis(NamedTuple):
    """Bilinear interpolation along one axis, with half-pixel centres.

    Attributes: for each target pixel the two source pixels around its centre, intp (n,), and
        the upper one's weight, float32 (n,) in [0, 1].
    """

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray

    @classmethod
    def between(cls, source: int, target: int) -> Axis:
        """From `source` to `target` pixels, clamped at the borders."""
        centre = (np.arange(target, dtype=np.float64) + 0.5) * source / target - 0.5
        centre = centre.clip(0, source - 1)
        low = np.floor(centre).astype(np.intp)
        high = np.minimum(low + 1, source - 1)
        return cls(low, high, (centre - low).astype(np.float32))

    def part(self, targets: slice, first: int = 0) -> Axis:
        """For some of the targets, with sources counted from `first`."""
        return Axis(self.low[targets] - first, self.high[targets] - first, self.weight[targets])

    def sources(self) -> slice:
        """The source pixels that are needed."""
        return slice(int(self.low[0]), int(self.high[-1]) + 1)


@dataclass(frozen=True)
class Maps:
    """What is known about each pixel; the `paint` methods fill it from logits, part by part.

    Attributes:
        labels: uint8 (H, W), the most probable class.
        confidence: float16 (H, W) in [0, 1], softmax probability of that class, or None.
        entropy: float16 (H, W) in [0, 1], or None: -sum(p log p) / log C (C. Shannon, "A
            Mathematical Theory of Communication", 1948) over the probabilities of C classes.
        probabilities: float16 (C, H, W) in [0, 1], softmax of all classes, or None.
        threshold_logit: for two classes, by how much the second one's logit must exceed the
            first one's for it to be chosen.
    """

    labels: np.ndarray
    confidence: np.ndarray | None = None
    entropy: np.ndarray | None = None
    probabilities: np.ndarray | None = None
    threshold_logit: float = 0.0

    @classmethod
    def empty(cls, size_hw: tuple[int, int], options: SegmentOptions, num_classes: int = 0) -> Maps:
        """The maps that the options ask for, yet to be painted. Only probabilities need to know
        the number of classes."""
        return cls(
            np.empty(size_hw, np.uint8),
            np.empty(size_hw, np.float16) if options.confidence else None,
            np.empty(size_hw, np.float16) if options.entropy else None,
            np.empty((num_classes, *size_hw), np.float16) if options.probabilities else None,
            options.threshold_logit,
        )

    def window(self, rows: slice, columns: slice) -> Maps:
        """A part of the maps, in the same memory."""
        return self._each(lambda values: values[..., rows, columns])

    def transposed(self) -> Maps:
        """The maps with rows and columns exchanged, in the same memory."""
        return self._each(lambda values: values.swapaxes(-2, -1))

    def paint(self, logits: np.ndarray) -> None:
        """Fills the maps from logits at their own size, float32 (C, H, W)."""

        def paint(rows: slice, columns: slice) -> None:
            part, values = self.window(rows, columns), logits[:, rows, columns]
            part.labels[:] = _most_probable(values, self.threshold_logit)
            part._paint_certainty(values)

        _in_blocks(paint, self.labels.shape, len(logits))

    def paint_scaled(self, logits: np.ndarray, down: Axis, across: Axis) -> None:
        """Fills the maps from logits of another size, interpolated.

        Args:
            logits: float32 (C, h, w).
            down, across: from h to the maps' rows, and from w to their columns.
        """
        ranked = np.array(logits, order="C")
        if self.threshold_logit:
            ranked[0] += self.threshold_logit
        cells = _cells(_most_probable(ranked)).take(across.low, axis=1)

        def paint(rows: slice, columns: slice) -> None:
            part = self.window(rows, columns)
            block_down, block_across = down.part(rows), across.part(columns)
            part.labels[:] = cells[block_down.low, columns]
            y, x = np.nonzero(part.labels == MIXED)
            if len(y):
                values = _interpolated(ranked, block_down, block_across, y, x)
                part.labels[y, x] = _most_probable(values)
            if part._certainty:
                part._paint_certainty(resample(logits, block_down, block_across))

        _in_blocks(paint, self.labels.shape, len(logits))

    def _each(self, change: Callable[[np.ndarray], np.ndarray]) -> Maps:
        names = ("labels", *self._certainty)
        return replace(self, **{name: change(getattr(self, name)) for name in names})

    @property
    def _certainty(self) -> list[str]:
        """Names of the maps that exist besides the labels."""
        names = ("confidence", "entropy", "probabilities")
        return [name for name in names if getattr(self, name) is not None]

    def _paint_certainty(self, logits: np.ndarray) -> None:
        if not self._certainty:
            return
        shifted = logits - logits.max(0)
        powers = np.exp(shifted)
        total = powers.sum(0)
        if self.confidence is not None:
            # With a threshold, the class that was chosen need not be the most probable one.
            chosen = np.where(self.labels, *powers[::-1]) if self.threshold_logit else 1
            self.confidence[:] = chosen / total
        if self.probabilities is not None:
            np.divide(powers, total, out=self.probabilities, casting="same_kind")
        if self.entropy is not None:
            powers *= shifted
            nats = np.log(total) - powers.sum(0) / total
            self.entropy[:] = (nats / max(np.log(len(logits)), 1e-6)).clip(0, 1)


class Painter:
    """Paints maps from blocks of logits that arrive from left to right and from top to bottom.

    Pixels between two blocks are interpolated, so the last row and column of each are kept.

    Args:
        maps: what to fill.
        source_hw: height and width of all logits together.
    """

    def __init__(self, maps: Maps, source_hw: tuple[int, int]) -> None:
        self.maps = maps
        self.source_hw = source_hw
        height, width = maps.labels.shape
        self._down = Axis.between(source_hw[0], height)
        self._across = Axis.between(source_hw[1], width)
        self._above: np.ndarray | None = None  # (C, 1, w): the row above this row of blocks
        self._bottom: np.ndarray | None = None  # (C, 1, w): the last row of this row of blocks
        self._left: np.ndarray | None = None  # (C, h, 1): the column left of the next block

    def add(self, y: int, x: int, logits: np.ndarray) -> None:
        """Paints the pixels that a block completes, float32 (C, h, w) at row y and column x."""
        height, width = logits.shape[1:]
        if self.maps.labels.shape == self.source_hw:
            self.maps.window(slice(y, y + height), slice(x, x + width)).paint(logits)
            return
        if x == 0:
            self._above = self._bottom
            self._bottom = np.empty((len(logits), 1, self.source_hw[1]), np.float32)
        self._bottom[:, :, x : x + width] = logits[:, -1:]
        if y > 0:
            logits = np.concatenate([self._above[:, :, x : x + width], logits], axis=1)
        left, self._left = self._left, logits[:, :, -1:].copy()
        if x > 0:
            logits = np.concatenate([left, logits], axis=2)
        rows = slice(*np.searchsorted(self._down.high, (y, y + height)))
        columns = slice(*np.searchsorted(self._across.high, (x, x + width)))
        down = self._down.part(rows, max(y - 1, 0))
        across = self._across.part(columns, max(x - 1, 0))
        self.maps.window(rows, columns).paint_scaled(logits, down, across)


def resample(values: np.ndarray, down: Axis, across: Axis) -> np.ndarray:
    """Interpolates float32 (C, h, w) bilinearly to (C, len(down.low), len(across.low))."""
    rows, columns = down.sources(), across.sources()
    values = values[:, rows, columns]
    values = _lerp(values, across.part(slice(None), columns.start), axis=2)
    return _lerp(values, down.part(slice(None), rows.start), axis=1)


def _lerp(values: np.ndarray, along: Axis, axis: int) -> np.ndarray:
    if not along.weight.any() and np.array_equal(along.low, np.arange(values.shape[axis])):
        return values
    weight = along.weight if axis == 2 else along.weight[:, None]
    below = values.take(along.low, axis)
    above = values.take(along.high, axis)
    above -= below
    above *= weight
    above += below
    return above


def _interpolated(
    logits: np.ndarray, down: Axis, across: Axis, y: np.ndarray, x: np.ndarray
) -> np.ndarray:
    """Logits at single target pixels: (C, h, w) at n times (y, x) -> (C, n)."""
    flat = logits.reshape(len(logits), -1)
    width = logits.shape[2]
    rows = []
    for row in (down.low[y] * width, down.high[y] * width):
        below = flat.take(row + across.low[x], axis=1)
        above = flat.take(row + across.high[x], axis=1)
        above -= below
        above *= across.weight[x]
        above += below
        rows.append(above)
    upper, lower = rows
    lower -= upper
    lower *= down.weight[y]
    lower += upper
    return lower


def _cells(labels: np.ndarray) -> np.ndarray:
    """For each logit, uint8 (h, w), the class that wins everywhere between it and its neighbours.

    If one class has the largest logit at all four corners, it also has at every weighted mean of
    them; only where the corners differ must pixels be interpolated one by one.
    """
    cells = labels.copy()
    cells[:, :-1][labels[:, :-1] != labels[:, 1:]] = MIXED
    cells[:-1][(labels[:-1] != labels[1:]) | (cells[1:] == MIXED)] = MIXED
    return cells


def _most_probable(logits: np.ndarray, threshold_logit: float = 0.0) -> np.ndarray:
    """(C, ...) -> uint8 (...); the first of equals."""
    if threshold_logit:
        return (logits[1] - logits[0] > threshold_logit).view(np.uint8)
    # A running maximum over the classes: argmax over the first axis is several times slower.
    best = logits[0].copy()
    labels = np.zeros(best.shape, np.uint8)
    for label in range(1, len(logits)):
        better = (logits[label] > best).view(np.uint8)
        better *= np.uint8(label)
        np.maximum(labels, better, out=labels)
        np.maximum(best, logits[label], out=best)
    return labels


def _in_blocks(
    paint: Callable[[slice, slice], None], size_hw: tuple[int, int], num_classes: int
) -> None:
    """Calls `paint` for all blocks of rows and columns, on all cores."""
    height, width = size_hw
    pixels = max(1, BLOCK_VALUES // num_classes)
    columns = max(1, min(width, pixels))
    rows = max(1, pixels // columns)
    blocks = [
        (slice(y, min(y + rows, height)), slice(x, min(x + columns, width)))
        for y in range(0, height, rows)
        for x in range(0, width, columns)
    ]
    if len(blocks) == 1:
        paint(*blocks[0])
    else:
        for _ in _threads().map(lambda block: paint(*block), blocks):
            pass
