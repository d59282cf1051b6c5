"""The checkpoints that all front ends share: one pool of opened segmenters per process."""

from __future__ import annotations

from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.inference.segmenter import SegmenterPool

POOL = SegmenterPool()


def catalogue() -> list[Checkpoint]:
    """The checkpoints that can be chosen, damaged ones left out, grouped by data set."""
    good, _ = folder.list_bundled()
    return sorted(good, key=lambda c: (c.data_name, c.name))


def damaged() -> dict[str, str]:
    """Why each checkpoint that cannot be chosen was left out, by name."""
    return folder.list_bundled()[1]
