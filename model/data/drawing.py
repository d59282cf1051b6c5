"""Labels drawn over pictures: class colours blended in, or what is not wanted cut away."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from PIL import Image

from model.data.classes import ClassTable

OPACITY = 0.55
"""How strongly class colours cover the picture by default."""

BACKGROUND = ("background", "unlabelled")
"""Names of classes that mean "nothing in particular": better left uncovered."""


def overlay(
    image: np.ndarray,
    labels: np.ndarray,
    classes: ClassTable,
    opacity: float = OPACITY,
    shown: Collection[int] | None = None,
) -> np.ndarray:
    """Blends class colours over a picture.

    Args:
        image: RGB, uint8 (H, W, 3).
        labels: class ids, uint8 (H, W); ids without a class (void) stay uncovered.
        opacity: share of the class colour, in [0, 1].
        shown: ids of the classes to draw; all of them if None.

    Returns: RGB, uint8 (H, W, 3).
    Raises: `ValueError` if the sizes differ or the opacity is out of range.

    >>> classes = ClassTable.named(road="#804080", sky="#4682B4")
    >>> grey = np.full((1, 2, 3), 100, np.uint8)
    >>> overlay(grey, np.uint8([[0, 1]]), classes, opacity=1, shown={1}).tolist()
    [[[100, 100, 100], [70, 130, 180]]]
    """
    _check_sizes(image, labels)
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity must lie in [0, 1], got {opacity}")
    alpha = np.zeros(256, np.uint8)
    alpha[[c.id for c in classes if shown is None or c.id in shown]] = round(255 * opacity)
    # Three passes in Pillow's C code; the same in numpy takes several times as long.
    index = Image.fromarray(labels)
    colours = Image.fromarray(labels)
    colours.putpalette(classes.palette().tobytes())
    blended = Image.composite(
        colours.convert("RGB"), Image.fromarray(image), index.point(alpha.tolist())
    )
    return np.asarray(blended)


def cutout(image: np.ndarray, labels: np.ndarray, kept: Collection[int]) -> np.ndarray:
    """The pixels of some classes, the others transparent.

    Args:
        image: RGB, uint8 (H, W, 3).
        labels: class ids, uint8 (H, W).
        kept: ids of the classes to keep.

    Returns: RGBA, uint8 (H, W, 4); colours are the picture's where alpha is 255, black where
        it is 0, so that nothing of what was cut away is left in the file.
    Raises: `ValueError` if the sizes differ.
    """
    _check_sizes(image, labels)
    chosen = np.zeros(256, np.uint8)
    chosen[list(kept)] = 255
    alpha = chosen[labels]
    return np.concatenate([image & alpha[..., None], alpha[..., None]], axis=2)


def shown_at_first(classes: ClassTable) -> set[int]:
    """Ids of the classes to draw by default: all but the background.

    >>> shown_at_first(ClassTable.named(pet="#D55E00", background="#56B4E9"))
    {0}
    """
    return {info.id for info in classes if info.name not in BACKGROUND}


def _check_sizes(image: np.ndarray, labels: np.ndarray) -> None:
    if image.shape[:2] != labels.shape:
        raise ValueError(f"picture {image.shape[:2]} and labels {labels.shape} differ in size")
