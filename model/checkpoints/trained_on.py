"""Whether a checkpoint may have learned from given pictures."""

from __future__ import annotations

from model.checkpoints.folder import Checkpoint
from model.checkpoints.titles import own_folder
from model.data import splits
from model.data.datasets import DataSet, UserFolder
from model.errors import ConfigError


def check_start(start: Checkpoint, data: DataSet, *, include_validation: bool) -> None:
    """Raises `ConfigError` if a training run that starts from `start` would choose its epoch on,
    or be tested on, pictures of the data that `start` has learned from.

    Args: include_validation: whether it learns from the validation pictures itself.
    """
    recorded = start.description.get("data", {})
    if (recorded.get("name"), recorded.get("digest")) != (data.name, data.digest()):
        return
    if recorded.get("split_digest") != splits.digest(data.split):
        raise ConfigError(
            f"--start-from {start.name}: it was trained on another split of the same pictures "
            f"({recorded.get('split_rule')}), and would be scored on some that it has learned "
            "from. Give the split that it was trained on, or start from another checkpoint."
        )
    if start.learned_from_validation and not include_validation:
        raise ConfigError(
            f"--start-from {start.name}: it has learned from the validation pictures, by which "
            "the epoch is chosen. Add --include-validation, or give another checkpoint."
        )


def other_split(checkpoint: Checkpoint, data: DataSet) -> str:
    """A warning if the checkpoint was trained on another split of the same data, else ""."""
    recorded = checkpoint.description.get("data", {})
    if recorded.get("name") != data.name or "split_digest" not in recorded:
        return ""
    if recorded["split_digest"] == splits.digest(data.split):
        return ""
    if isinstance(data, UserFolder) and own_folder(checkpoint) != data.root.resolve().name:
        return ""  # "folder" is the name of everybody's own pictures
    return (
        f"{checkpoint.name} was trained on another split of {data.name} ({recorded['split_rule']}) "
        "and may have seen these pictures."
    )
