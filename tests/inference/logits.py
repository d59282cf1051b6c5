"""What a segmenter's networks say, before it becomes labels."""

import numpy as np

from model.inference.options import SegmentOptions
from model.inference.segmenter import Segmenter


def logits_of(
    segmenter: Segmenter, image: np.ndarray, options: SegmentOptions | None = None
) -> np.ndarray:
    """Logits at the network's resolution, padding removed.

    Args: image: uint8 (H, W, 3), RGB.
    Returns: float32 (C, h, w).
    """
    view = segmenter._view(image, options or SegmentOptions())
    whole = np.empty((len(segmenter.classes), *view.grid.size_hw), np.float32)
    for y, x, logits in segmenter._blocks(view):
        whole[:, y : y + logits.shape[1], x : x + logits.shape[2]] = logits
    return whole
