"""Several predictions of the same pixels, averaged: mirrored, magnified, by several checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from model.data.preprocessing import Preprocessing
from model.inference.options import SegmentOptions
from model.inference.resampling import Axis, resample

FLIPS: dict[str, tuple[tuple[int, ...], ...]] = {
    "none": ((),),
    "horizontal": ((), (1,)),
    "vertical": ((), (0,)),
    "both": ((), (1,), (0,), (0, 1)),
}
"""By option, the axes of (H, W) that each look reverses."""


@dataclass(frozen=True)
class Look:
    """Logits of any window of a picture, as all looks together see it.

    Where there are several, the logits are the logarithm of the mean of their softmax
    probabilities, so that the softmax of them is that mean.

    Attributes:
        networks: each maps a normalised batch, float32 (1, 3, h, w), to logits (1, C, h, w).
        preprocessing: of windows that are at the network's scale already.
        image: the picture, uint8 (H, W, 3).
        fitted: the picture at the network's scale, uint8 (h, w, 3).
        options: their `flips` and `zooms` count.
    """

    networks: Sequence[Callable[[np.ndarray], np.ndarray]]
    preprocessing: Preprocessing
    image: np.ndarray
    fitted: np.ndarray
    options: SegmentOptions

    @property
    def count(self) -> int:
        """How often a network looks at each window."""
        return len(self.networks) * len(FLIPS[self.options.flips]) * (1 + len(self.options.zooms))

    def logits(self, rows: slice, columns: slice) -> np.ndarray:
        """float32 (C, h, w) for a window of `fitted`."""
        size_hw = rows.stop - rows.start, columns.stop - columns.start
        total: np.ndarray | None = None
        for zoom in (1.0, *self.options.zooms):
            window = self.fitted[rows, columns]
            if zoom != 1:
                window = self._magnified(rows, columns, zoom)
            height, width = window.shape[:2]
            for axes in FLIPS[self.options.flips]:
                # Mirrored before padding: the network has seen padding only on the right and below.
                batch = self.preprocessing.network_input(np.flip(window, axes))
                for network in self.networks:
                    logits = network(batch)[0, :, :height, :width]
                    if self.count == 1:
                        return logits
                    logits = np.flip(logits, [axis + 1 for axis in axes])
                    if zoom != 1:
                        down = Axis.between(height, size_hw[0])
                        logits = resample(logits, down, Axis.between(width, size_hw[1]))
                    probabilities = softmax(logits)
                    total = probabilities if total is None else total + probabilities
        return np.log(np.maximum(total / self.count, np.finfo(np.float32).tiny))

    def _magnified(self, rows: slice, columns: slice, zoom: float) -> np.ndarray:
        """The window taken from the original picture, with the detail that scaling had lost."""
        box, outer, size_hw = [], [], []
        for axis, span in enumerate((rows, columns)):
            ratio = self.image.shape[axis] / self.fitted.shape[axis]
            low, high = span.start * ratio, span.stop * ratio
            # The resampling filter reaches beyond the window.
            margin = 2 * math.ceil(ratio / zoom) + 2
            first = max(0, math.floor(low) - margin)
            outer.append(slice(first, math.ceil(high) + margin))
            box.append((low - first, high - first))
            size_hw.append(max(1, round((span.stop - span.start) * zoom)))
        (top, bottom), (left, right) = box
        part = Image.fromarray(self.image[outer[0], outer[1]])
        resized = part.resize(
            size_hw[::-1],
            Image.Resampling.BILINEAR,
            box=(left, top, min(right, part.width), min(bottom, part.height)),
            reducing_gap=3.0,
        )
        return np.asarray(resized)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the first axis, float32 (C, ...) -> float32 (C, ...)."""
    powers = np.exp(logits - logits.max(0))
    powers /= powers.sum(0)
    return powers
