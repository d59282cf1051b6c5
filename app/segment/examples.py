"""Pictures to try that need no network: photographs from gradio's package, drawn streets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gradio.media
from PIL import Image

from model.checkpoints.folder import Checkpoint
from model.data import streets

PHOTOGRAPHS = {
    "Cheetah": "cheetah1.jpg",
    "Lion": "lion.jpg",
    "Cheetah, running": "cheetah.jpg",
}
"""Files in gradio's package, by what they show."""

STREET_SEEDS = (604, 601, 607, 602)
"""Scenes that belong to no part of the `streets` data set."""

STREET_SIZE = (960, 720)


@dataclass(frozen=True)
class Example:
    """A picture file with a title in words."""

    title: str
    path: Path


def examples_for(checkpoint: Checkpoint, folder: Path) -> list[Example]:
    """What a model can be tried on: streets if it knows roads, else photographs of animals.

    Args: folder: where pictures that have to be drawn are kept; they are drawn once.
    """
    return street_examples(folder) if "road" in checkpoint.classes.names else photographs()


@lru_cache(maxsize=1)
def photographs() -> list[Example]:
    return [
        Example(title, Path(gradio.media.get_image(file))) for title, file in PHOTOGRAPHS.items()
    ]


@lru_cache(maxsize=1)
def street_examples(folder: Path) -> list[Example]:
    examples = []
    for number, seed in enumerate(STREET_SEEDS, start=1):
        path = folder / f"street-{seed}.png"
        Image.fromarray(streets.draw(seed, STREET_SIZE)[0]).save(path)
        examples.append(Example(f"Drawn street {number}", path))
    return examples
