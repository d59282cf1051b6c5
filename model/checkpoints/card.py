"""The model card, generated from what the checkpoint records; never written by hand."""

from __future__ import annotations

from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint


def write_card(checkpoint: Checkpoint) -> None:
    """Writes `README.md` into the checkpoint's folder."""
    folder.write_text(checkpoint.path / folder.CARD_FILE, "TODO\n")
