"""Whether pictures may be some that a checkpoint has learned from."""

from __future__ import annotations

from model.checkpoints.folder import Checkpoint
from model.data import splits
from model.data.datasets import DataSet


def other_split(checkpoint: Checkpoint, data: DataSet) -> str:
    """A warning if the checkpoint was trained on another split of the same data, else ""."""
    recorded = checkpoint.description.get("data", {})
    if recorded.get("name") != data.name or "split_digest" not in recorded:
        return ""
    if recorded["split_digest"] == splits.digest(data.split):
        return ""
    return (
        f"{checkpoint.name} was trained on another split of {data.name} ({recorded['split_rule']}) "
        "and may have seen these pictures."
    )
