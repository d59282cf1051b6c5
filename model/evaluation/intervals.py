"""How much a model's figures would change with another choice of pictures."""

from __future__ import annotations

import numpy as np

from model.evaluation import significance
from model.evaluation.metrics import accuracy, class_figures, mean_of_known
from model.evaluation.pictures import Pictures
from model.words import FIGURES

RESAMPLES = 2000


def intervals(pictures: Pictures) -> dict[str, list[float]]:
    """Ends of the 95 % bootstrap interval of each of `FIGURES`, in [0, 1].

    Pictures are resampled, in blocks where they are neighbours in a video or on a map, their
    counts summed, and the pooled figure computed from the sums; see `significance`. Empty for
    fewer than two pictures.
    """
    if pictures.pixels is None or len(pictures) < significance.FEWEST_UNITS:
        return {}
    unit_of, _ = significance.blocks(pictures.sequences, pictures.scores["mean_iou"])
    counts = significance.sum_units(pictures.pixels.reshape(len(pictures), -1), unit_of)
    if len(counts) < significance.FEWEST_UNITS:
        return {}
    drawn = significance.resampled(counts, _figures, resamples=RESAMPLES)
    low, high = significance.interval(drawn, len(counts))
    return {
        name: [round(float(low[i]), 6), round(float(high[i]), 6)]
        for i, name in enumerate(FIGURES)
        if not np.isnan([low[i], high[i]]).any()
    }


def _figures(sums: np.ndarray) -> np.ndarray:
    """From sums of pixels per class, (R, 3 C), to `FIGURES`, (R, 5)."""
    pixels = sums.reshape(len(sums), 3, -1)
    means = map(mean_of_known, class_figures(pixels).values())
    return np.stack([*means, accuracy(pixels)], 1)
