"""The models that can be compared: bundled ones, runs, and what somebody adds by its name.

Whoever sits at the machine may add any folder on it, or a model on the Hub. Other visitors
may not: folders are nobody's business over the network, and the Hub could fill the disk.
"""

from __future__ import annotations

import os
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


def available(added: list[str]) -> tuple[dict[str, Checkpoint], dict[str, str]]:
    """The checkpoints by the name they go by, and why others had to be left out.

    Args: added: folders and Hub ids that were asked for besides.
    """
    found = {checkpoint.name: checkpoint for checkpoint in models.catalogue()}
    broken = dict(models.damaged())
    for path in run_folders():
        _read(path.as_posix(), found, broken)
    for name in added:
        _read(name, found, broken)
    return found, broken


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
    folders = {path.as_posix() for path in run_folders()}
    weights = zoo.weights_folder()
    if weights.is_dir():
        folders |= {entry.name for entry in os.scandir(weights)}
    return tuple(sorted(folders)), tuple(version(c) for c in checkpoints.values())


def version(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Changes when any of the files that the page draws from changes: a key for caches."""
    files = (
        folder.WEIGHTS_FILE,
        folder.METRICS_FILE,
        folder.PER_IMAGE_FILE,
        folder.HISTORY_FILE,
        folder.DESCRIPTION_FILE,
    )
    return str(checkpoint.path), *(_stamp(checkpoint.path / name) for name in files)


def weights_version(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Changes when the network does: what predictions are remembered by."""
    return version(checkpoint)[:2]


def _read(name: str, found: dict[str, Checkpoint], broken: dict[str, str]) -> None:
    try:
        found[name] = zoo.find(name)
    except CheckpointError as error:
        broken[name] = said(error)


def _stamp(path: Path) -> str:
    try:
        return str(path.stat().st_mtime_ns)
    except OSError:
        return "gone"
