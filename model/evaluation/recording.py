"""Writes figures into a checkpoint, so that what a precision costs is known wherever it serves."""

from __future__ import annotations

import copy
from typing import Any

from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.data import splits
from model.data.datasets import DataSet
from model.errors import ConfigError


def check(checkpoint: Checkpoint, data: DataSet) -> None:
    """Raises `ConfigError` unless the data and its split are those the checkpoint was trained on:
    figures of other pictures would not compare with the recorded ones.
    """
    here = {"name": data.name, "digest": data.digest(), "split_digest": splits.digest(data.split)}
    recorded = checkpoint.description.get("data", {})
    changed = [key for key, value in here.items() if recorded.get(key) != value]
    if changed:
        raise ConfigError(
            f"--record: {checkpoint.name} was trained on {checkpoint.data_name}, and "
            f"{', '.join(changed)} of the data here differ(s) from what it recorded. Give the same "
            "data set as --data and --data-root, or leave --record out."
        )


def other_split(checkpoint: Checkpoint, data: DataSet) -> str:
    """A warning if the checkpoint was trained on another split of the same data, else "": what is
    scored may be what it learned from."""
    recorded = checkpoint.description.get("data", {})
    if recorded.get("name") != data.name or "split_digest" not in recorded:
        return ""
    if recorded["split_digest"] == splits.digest(data.split):
        return ""
    return (
        f"{checkpoint.name} was trained on another split of {data.name} ({recorded['split_rule']}) "
        "and may have seen these pictures. Give that split as --split-file."
    )


def record(checkpoint: Checkpoint, split: str, figures: dict[str, Any]) -> Checkpoint:
    """Puts figures under splits -> split -> precision into `metrics.json`; others stay.

    With them goes the digest of what was scored: a price counts only for the same weights.

    Args: figures: `Evaluation.to_json()`, which names its precision.
    Returns: the checkpoint as it now is.
    """
    precision = figures["precision"]
    metrics = copy.deepcopy(checkpoint.metrics) or {"data": checkpoint.data_name}
    metrics.setdefault("splits", {}).setdefault(split, {})[precision] = {
        **figures,
        "digest": checkpoint.digest(precision),
    }
    folder.write_json(checkpoint.path / folder.METRICS_FILE, metrics)
    return folder.read(checkpoint.path)
