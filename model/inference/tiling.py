"""Pictures of any size, seen through tiles that overlap, in memory that does not grow with them.

Tiles are weighted by a Gaussian around their centre, so that near a seam the tile counts more
that sees further beyond it, as in nnU-Net (F. Isensee et al.: "nnU-Net: a self-configuring
method for deep learning-based biomedical image segmentation", Nature Methods 18, 2021).
A pixel's logits are sum(w_t * logits_t) / sum(w_t) over the tiles t that cover it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from model.errors import ConfigError

TILE = 768
"""Side of tiles in pixels, where nothing else is asked for. What a U-Net of 32 channels keeps
of one takes 0.4 GB; larger ones are no faster."""

OVERLAP = 32
"""Pixels that two tiles share at least. 64 would cost another 9 % of time at this side."""

SIGMA_SCALE = 1 / 8
LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class Grid:
    """Where the tiles lie.

    Attributes:
        size_hw: of the network's view, before padding.
        tile_hw: of every tile; some reach beyond the view.
        rows, columns: where tiles begin, in ascending order, the first at 0.
    """

    size_hw: tuple[int, int]
    tile_hw: tuple[int, int]
    rows: tuple[int, ...]
    columns: tuple[int, ...]

    @classmethod
    def over(
        cls,
        size_hw: tuple[int, int],
        *,
        tile: int | None = None,
        overlap: int | None = None,
        multiple: int = 32,
        magnified: float = 1.0,
    ) -> Grid:
        """The tiles of a view.

        Tiles begin at multiples of `multiple`, so that the network's poolings fall on the same
        pixels as in the whole view.

        Args:
            size_hw: the view's height and width in pixels.
            tile: side of the tiles, less where the view is smaller. By default there is one
                tile if it has at most `TILE`**2 pixels, else tiles of at most so many that
                together have as few as can be.
            overlap: pixels that neighbours share at least, at most half a tile; by default
                `OVERLAP`, or `multiple` where that is more.
            multiple: what sides must be divisible by.
            magnified: the default tiles shall fit into memory even if magnified by this.

        Raises: `ConfigError` if `tile` or `overlap` is no multiple, or the overlap too large.
        """
        overlap = max(OVERLAP, multiple) if overlap is None else overlap
        largest = tile
        if tile is None:
            largest = shrunk(TILE, magnified, multiple)
            height, width = (-(-side // multiple) * multiple for side in size_hw)
            if height * width <= largest**2:
                return cls(size_hw, (height, width), (0,), (0,))
        # What overlaps by half of its side is computed four times, and more without bound beyond.
        whole = largest > 0 and largest % multiple == overlap % multiple == 0
        if not whole or not 0 <= overlap <= largest / 2:
            zoomed = " Zooms make tiles smaller." if magnified > 1 else ""
            raise ConfigError(
                f"Tiles of {largest} pixels that overlap by {overlap} cannot be: both must be "
                f"multiples of {multiple}, and the overlap at most half a tile.{zoomed}"
            )
        sizes = [(tile, tile)] if tile else _sizes(largest, overlap, multiple)
        grids = []
        for tile_hw in sizes:
            spans = [
                _spans(side, length, overlap, multiple, shrink=tile is None)
                for side, length in zip(size_hw, tile_hw, strict=True)
            ]
            (height, rows), (width, columns) = spans
            grids.append(cls(size_hw, (height, width), rows, columns))
        return min(grids, key=lambda grid: len(grid) * math.prod(grid.tile_hw))

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def transposed(self) -> Grid:
        return Grid(self.size_hw[::-1], self.tile_hw[::-1], self.columns, self.rows)


def shrunk(side: int, magnified: float, multiple: int = 32) -> int:
    """The side of tiles that take as much memory, magnified, as tiles of `side` do by themselves.

    It is a multiple of `multiple`, and at least twice that and twice `OVERLAP`.
    """
    return max(int(side / magnified) // multiple * multiple, 2 * max(multiple, OVERLAP))


def _sizes(side: int, overlap: int, multiple: int) -> list[tuple[int, int]]:
    """Heights and widths of tiles that have at most side**2 pixels, at most 16:9."""
    longest = side * 4 // 3 // multiple * multiple
    heights = range(side * 3 // 4 // multiple * multiple, longest + 1, multiple)
    sizes = [(height, min(longest, side**2 // height // multiple * multiple)) for height in heights]
    return [size for size in sizes if overlap < min(size)]


def _spans(
    side: int, tile: int, overlap: int, multiple: int, *, shrink: bool
) -> tuple[int, tuple[int, ...]]:
    """Along one axis: the tiles' size and where they begin, evenly spread."""
    padded = -(-side // multiple) * multiple
    count = max(1, -(-(padded - overlap) // (tile - overlap)))
    if shrink:
        tile = -(-(padded + (count - 1) * overlap) // (count * multiple)) * multiple
    tile = min(tile, padded)
    spare = (padded - tile) // multiple
    return tile, tuple(i * spare // max(count - 1, 1) * multiple for i in range(count))


def gaussian(tile_hw: tuple[int, int]) -> np.ndarray:
    """Weights of a tile's pixels, float32 (h, w) in [`LEAST_WEIGHT`, 1].

    max(exp(-(y - (h - 1) / 2)**2 / (2 (h / 8)**2) - (x - (w - 1) / 2)**2 / (2 (w / 8)**2)), 1e-3):
    nnU-Net's standard deviation of an eighth of the tile, and MONAI's least weight.
    """
    bells = []
    for side in tile_hw:
        distance = (np.arange(side) - (side - 1) / 2) / (side * SIGMA_SCALE)
        bells.append(np.exp(-(distance**2) / 2))
    return np.maximum(np.outer(*bells), LEAST_WEIGHT).astype(np.float32)


def blended(
    grid: Grid, predict: Callable[[slice, slice], np.ndarray]
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Goes over the tiles row by row and hands out what is finished.

    Of tiles before the current one only what later tiles overlap is kept.

    Args:
        predict: for a window of rows and columns within the view, float32 (C, h, w) logits.

    Yields: (y, x, logits): the upper left corner of a finished block, and its logits, float32
        (C, h, w). Blocks come from left to right and from top to bottom and fill the view.
    """
    height, width = grid.size_hw
    tile_height, tile_width = grid.tile_hw
    weights = gaussian(grid.tile_hw)
    below = None  # sums of the last row of tiles where the current one overlaps it
    for y, next_y in zip(grid.rows, (*grid.rows[1:], height), strict=True):
        rows = slice(y, min(y + tile_height, height))
        beside = kept = None
        for x, next_x in zip(grid.columns, (*grid.columns[1:], width), strict=True):
            columns = slice(x, min(x + tile_width, width))
            logits = predict(rows, columns)
            if len(grid) == 1:
                yield 0, 0, logits
                return
            classes, h, w = logits.shape
            sums = np.empty((classes + 1, h, w), np.float32)  # the last channel sums weights
            np.multiply(logits, weights[:h, :w], out=sums[:-1])
            sums[-1] = weights[:h, :w]
            shared = 0
            if beside is not None:
                shared = beside.shape[2]
                sums[:, :, :shared] += beside
            if below is not None:
                sums[:, : below.shape[1], shared:] += below[:, :, x + shared : columns.stop]
            if kept is None:
                kept = np.empty((classes + 1, rows.stop - next_y, width), np.float32)
            finished = sums[:, : next_y - y, : next_x - x]
            kept[:, :, x:next_x] = sums[:, next_y - y :, : next_x - x]
            beside = sums[:, :, next_x - x :].copy()
            finished[:-1] /= finished[-1]
            yield y, x, finished[:-1]
        below = kept
