"""Folders of pictures and masks, whole, for the tests to break in one way each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.data.doctor.making import COUNT, draw, save


@pytest.fixture
def photos(tmp_path) -> Callable[..., Path]:
    """A function that writes a folder without faults: 24 pictures with masks of ids 0, 1, 2.

    `encode` makes other pixels of the labels; `name` is the masks' names, `options` Pillow's.
    """

    def make(
        encode: Callable[[np.ndarray], np.ndarray] = lambda labels: labels,
        *,
        count: int = COUNT,
        name: str = "masks/{}.png",
        root: Path = tmp_path / "photos",
        classes: int = 3,
        **options,
    ) -> Path:
        for number in range(count):
            image, labels = draw(number, classes)
            save(root / f"images/{number:02d}.jpg", image, quality=95)
            save(root / name.format(f"{number:02d}"), encode(labels), **options)
        return root

    return make
