"""Figures without weights: for checkpoints that are reported, but too large to ship."""

from __future__ import annotations

from pathlib import Path

from model import writing
from model.checkpoints import folder, zoo
from model.checkpoints.card import write_card
from model.checkpoints.folder import Checkpoint
from model.checkpoints.hub_push import published
from model.errors import ConfigError


def report(checkpoint: Checkpoint) -> Path:
    """Puts what a checkpoint records into `weights/reported/`, with a card that says that its
    weights are not there. An earlier report of the same name is replaced.

    Returns: the folder.
    Raises: `ConfigError` if it has no figures on the test part, is shipped already, was trained
        on data that must not be published, or cannot be written.
    """
    weights = zoo.weights_folder()
    if not checkpoint.figures("test"):
        raise ConfigError(f"{checkpoint.path} has no figures on the test part to report.")
    if (weights / checkpoint.name / folder.DESCRIPTION_FILE).is_file():
        raise ConfigError(f"{checkpoint.name} is shipped in {weights}: its figures are reported.")
    path = weights / zoo.REPORTED_FOLDER / checkpoint.name
    if path.resolve() == checkpoint.path.resolve():
        raise ConfigError(f"{path} is a run itself. Move it out of {path.parent} first.")
    left_out = (folder.WEIGHTS_FILE, folder.INT8_FILE, folder.CARD_FILE)
    try:
        path.mkdir(parents=True, exist_ok=True)
        files = {n: c for n, c in published(checkpoint).items() if n not in left_out}
        for before in path.iterdir():
            if before.is_file() and before.name not in files:
                before.unlink()
        for name, content in files.items():
            own = content.read_bytes() if isinstance(content, Path) else content
            writing.write_bytes(path / name, own)
        (reported,) = (c for c in zoo.list_reported() if c.name == checkpoint.name)
        write_card(reported)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path
