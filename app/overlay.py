"""Label arrays to pictures and figures: overlay, legend, confidence map, reduced previews.

Pure numpy and Pillow: pages and API share it, and it can be used without either.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from model.data.classes import VOID, ClassTable

# Exports draw as well; pages and API find everything about label pictures here.
from model.data.drawing import OPACITY as OPACITY
from model.data.drawing import overlay as overlay
from model.data.drawing import shown_at_first as shown_at_first
from model.inference.segmenter import Segmentation

DISPLAY_SIDE = 1600
"""Pages show larger pictures reduced to this longest side; files keep the full size."""

Style = Literal["fill", "outline", "hatch"]

# Five samples of matplotlib's "viridis" (S. van der Walt, N. Smith; CC0): evenly spaced to
# the eye, also in grey and with the common colour vision deficiencies.
_VIRIDIS = ("#440154", "#3b528b", "#21918c", "#5ec962", "#fde725")


@dataclass(frozen=True)
class LegendRow:
    """One class that occurs in a segmentation.

    Attributes:
        id, name, colour: from the class table; colour is `#rrggbb`.
        pixels: how many pixels have this class.
        share: fraction of the picture, in (0, 1].
        confidence: mean softmax probability over its pixels, in [0, 1]; None where the
            segmentation carries no confidence.
    """

    id: int
    name: str
    colour: str
    pixels: int
    share: float
    confidence: float | None


def legend(segmentation: Segmentation) -> list[LegendRow]:
    """The classes that occur, the largest share first."""
    confident = segmentation.confidence is not None
    confidences = segmentation.mean_confidences() if confident else None
    return legend_rows(segmentation.classes, segmentation.pixels(), confidences)


def legend_rows(
    classes: ClassTable, pixels: np.ndarray, confidences: np.ndarray | None
) -> list[LegendRow]:
    """The classes that occur, the largest share first.

    Args: pixels: by class, integers (C,); confidences: means by class, float (C,).
    """
    total = pixels.sum()
    rows = [
        LegendRow(
            id=info.id,
            name=info.name,
            colour=info.colour,
            pixels=int(pixels[info.id]),
            share=float(pixels[info.id] / total),
            confidence=None if confidences is None else float(confidences[info.id]),
        )
        for info in classes
        if pixels[info.id]
    ]
    return sorted(rows, key=lambda row: (-row.pixels, row.id))


def share_text(share: float) -> str:
    """A share in (0, 1] as people read it: "41 %", "0.3 %", "< 0.1 %"."""
    percent = 100 * share
    if percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %" if percent < 9.95 else f"{percent:.0f} %"


def confidence_colours() -> np.ndarray:
    """The colours of confidences from 0, dark violet, over green to 1, yellow: uint8 (256, 3)."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in _VIRIDIS])
    positions = np.linspace(0, 255, len(stops))
    channels = [np.interp(np.arange(256), positions, channel) for channel in stops.T]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def drawn_as(labels: np.ndarray, style: Style) -> np.ndarray:
    """The labels where a style draws them, void elsewhere: uint8 (H, W) in and out.

    "outline" keeps what lies near another class, "hatch" besides that stripes and dots, six
    patterns by class id, for people who cannot tell the colours apart. Widths grow with the
    picture. `stage.js` draws the same; a test compares them.
    """
    if style == "fill":
        return labels
    longest = max(labels.shape)
    width, period = min(8, 1 + longest // 400), 6 + longest // 50
    near = np.zeros(labels.shape, bool)
    for step in range(1, width + 1):
        across = labels[:, step:] != labels[:, :-step]
        down = labels[step:] != labels[:-step]
        near[:, step:] |= across
        near[:, :-step] |= across
        near[step:] |= down
        near[:-step] |= down
    if style == "hatch":
        y, x = np.ogrid[: labels.shape[0], : labels.shape[1]]
        for pattern in range(6):
            near |= (labels % 6 == pattern) & _hatched(pattern, x, y, period)
    return np.where(near, labels, np.uint8(VOID))


def _hatched(pattern: int, x: np.ndarray, y: np.ndarray, period: int) -> np.ndarray:
    half, third = period // 2, period // 3
    return (
        lambda: (x + y) % period < half,
        lambda: (x - y) % period < half,
        lambda: (y % period < half) & (x > -1),
        lambda: (x % period < half) & (y > -1),
        lambda: (x % period < third) | (y % period < third),
        lambda: (x % period < half) & (y % period < half),
    )[pattern]()


def display_size(height: int, width: int, longest: int = DISPLAY_SIDE) -> tuple[int, int]:
    """Height and width for the screen: within `longest`, in proportion, never enlarged."""
    scale = min(1.0, longest / max(height, width))
    return max(1, math.floor(height * scale + 0.5)), max(1, math.floor(width * scale + 0.5))


def reduce_image(image: np.ndarray, longest: int = DISPLAY_SIDE) -> np.ndarray:
    """A picture at its `display_size`, antialiased. uint8 (H, W, 3) or (H, W) in and out."""
    return _resize(image, longest, Image.Resampling.BOX)


def reduce_labels(labels: np.ndarray, longest: int = DISPLAY_SIDE) -> np.ndarray:
    """Labels at their `display_size`, by nearest neighbour. uint8 (H, W) in and out."""
    return _resize(labels, longest, Image.Resampling.NEAREST)


def _resize(values: np.ndarray, longest: int, method: Image.Resampling) -> np.ndarray:
    height, width = display_size(*values.shape[:2], longest)
    if (height, width) == values.shape[:2]:
        return values
    return np.asarray(Image.fromarray(values).resize((width, height), method))
