"""Pictures to try that need no network: photographs from gradio's package, drawn scenes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gradio.media
import numpy as np
from PIL import Image

from app.segment import town
from model.checkpoints.folder import Checkpoint
from model.data import streets
from model.data.classes import ClassTable

PHOTOGRAPHS = {
    "Cheetah": "cheetah1.jpg",
    "Lion": "lion.jpg",
    "Cheetah, running": "cheetah.jpg",
}
"""Files in gradio's package, by what they show."""


@dataclass(frozen=True)
class Scenes:
    """Pictures that are drawn.

    Attributes:
        what: of what, in a word.
        seeds: one for each.
        size: width and height in pixels.
        draw: from a seed and a size: the picture, uint8 (h, w, 3), and its truth, labels
            uint8 (h, w) in `classes`, None where there is none.
        classes: of the truth.
    """

    what: str
    seeds: Sequence[int]
    size: tuple[int, int]
    draw: Callable[[int, tuple[int, int]], tuple[np.ndarray, np.ndarray | None]]
    classes: ClassTable | None = None

    def title(self, number: int) -> str:
        return f"Drawn {self.what} {number}"


STREETS = Scenes(
    "street",
    (604, 601, 607, 602),  # in no part of the `streets` data set
    (960, 720),
    streets.draw,
    streets.CLASSES,
)
TOWNS = Scenes("town", (2, 1, 5), (768, 640), lambda seed, size: (town.draw(seed, size), None))


@dataclass(frozen=True)
class Example:
    """A picture file with a title in words."""

    title: str
    path: Path


def scenes_for(class_names: Sequence[str]) -> Scenes | None:
    """Towns from above for who knows land and roads, streets for roads alone, else None."""
    if "road" not in class_names:
        return None
    return TOWNS if "land" in class_names else STREETS


def examples_for(checkpoint: Checkpoint, folder: Path) -> list[Example]:
    """What a model can be tried on: scenes that it knows, else photographs of animals.

    Args: folder: where pictures that have to be drawn are kept; they are drawn once.
    """
    scenes = scenes_for(checkpoint.classes.names)
    return drawn(scenes, folder) if scenes else photographs()


@lru_cache(maxsize=1)
def photographs() -> list[Example]:
    return [
        Example(title, Path(gradio.media.get_image(file))) for title, file in PHOTOGRAPHS.items()
    ]


@lru_cache(maxsize=2)
def drawn(scenes: Scenes, folder: Path) -> list[Example]:
    examples = []
    for number, seed in enumerate(scenes.seeds, start=1):
        path = folder / f"{scenes.what}-{seed}.png"
        picture, _ = scenes.draw(seed, scenes.size)
        Image.fromarray(picture).save(path)
        examples.append(Example(scenes.title(number), path))
    return examples
