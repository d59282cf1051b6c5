"""The models that can be compared: bundled ones, runs, and what somebody adds by its name.

Whoever sits at the machine may add any folder on it, or a model on the Hub. Other visitors
may not: folders are nobody's business over the network, and the Hub could fill the disk.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import streamlit as st

from app import models
from app.discretion import without_folders
from app.visitors import sits_here
from model.checkpoints import folder, zoo
from model.checkpoints.folder import Checkpoint
from model.checkpoints.titles import own_folder
from model.errors import CheckpointError

RUNS = Path("runs")
"""Where `python -m model train` puts runs, relative to the working directory."""

Version = tuple


@dataclass(frozen=True)
class Found:
    """What can be compared, as it was at one moment.

    Attributes:
        folders: where it was looked for.
        checkpoints: by the name they go by.
        versions: of each of them, looked at before it was read. Whatever changes meanwhile has
            another version: it is noticed, and nothing old is remembered under it.
        broken: why others had to be left out, by name.
    """

    folders: tuple[str, ...]
    checkpoints: dict[str, Checkpoint] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def fingerprint(self, names: Iterable[str]) -> tuple:
        """What `fingerprint` would have said of these checkpoints at that moment."""
        return self.folders, tuple(self.versions[name] for name in names)

    def read(self, name: str, path: Path, reader: Callable[[], Checkpoint]) -> None:
        """Adds a checkpoint that `reader` reads from `path`, or why it cannot be read."""
        before = version(path)
        try:
            checkpoint = reader()
        except CheckpointError as error:
            self.broken[name] = said(error)
            return
        self.checkpoints[name] = checkpoint
        # One from the Hub lies elsewhere, and does not change.
        self.versions[name] = before if checkpoint.path == path else version(checkpoint.path)


def available(added: list[str]) -> Found:
    """Reads all checkpoints.

    Args: added: folders and Hub ids that were asked for besides.
    """
    found = Found(_folders())
    found.broken.update(models.damaged())
    for checkpoint in models.catalogue():
        found.read(checkpoint.name, checkpoint.path, partial(_as_it_is_now, checkpoint))
    for path in run_folders():
        found.read(path.as_posix(), path, partial(folder.read, path))
    for name in added:
        found.read(name, Path(os.path.expanduser(name)), partial(zoo.find, name))
    return found


def run_folders() -> list[Path]:
    """Folders of runs that have finished an epoch; those of a study lie one level deeper."""
    described = [*RUNS.glob(f"*/{folder.DESCRIPTION_FILE}")]
    described += RUNS.glob(f"*/*/{folder.DESCRIPTION_FILE}")
    return sorted(path.parent for path in described)


def is_local() -> bool:
    """Whether the visitor sits at the machine that this runs on."""
    return sits_here(st.context.ip_address, st.context.headers)


def said(error: Exception) -> str:
    """An error's sentence; where things lie on this machine is for whoever sits at it."""
    return str(error) if is_local() else without_folders(error)


def group_title(checkpoint: Checkpoint) -> str:
    """The data set's name in words."""
    return f"{models.data_title(checkpoint)} {own_folder(checkpoint)}".strip()


def fingerprint(checkpoints: dict[str, Checkpoint]) -> tuple:
    """Changes when a model appears, goes, or gets new weights, figures or epochs.

    It only looks at the times of files: cheap enough to ask every few seconds.
    """
    return _folders(), tuple(version(c.path) for c in checkpoints.values())


def version(path: Path) -> Version:
    """As `zoo.version`, by which predictions are remembered, with the other files that the page
    draws from."""
    files = (folder.PER_IMAGE_FILE, folder.HISTORY_FILE)
    return zoo.version(path), *(zoo.stamp(path / name) for name in files)


def _folders() -> tuple[str, ...]:
    folders = {path.as_posix() for path in run_folders()}
    weights = zoo.weights_folder()
    if weights.is_dir():
        folders |= {entry.name for entry in os.scandir(weights)}
    return tuple(sorted(folders))


def _as_it_is_now(checkpoint: Checkpoint) -> Checkpoint:
    """The one that the app was started with was read then, and may be a run that goes on."""
    return checkpoint if "hub" in checkpoint.description else folder.read(checkpoint.path)
