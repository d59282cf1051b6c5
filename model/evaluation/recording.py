"""Writes figures into a checkpoint, so that the cost of a precision is known wherever it serves."""

from __future__ import annotations

import copy

from model import writing
from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.data import splits
from model.data.datasets import DataSet
from model.errors import ConfigError
from model.evaluation.evaluate import Evaluation


def check(checkpoint: Checkpoint, data: DataSet, part: str) -> None:
    """Raises `ConfigError` unless the data and its split are those the checkpoint was trained on,
    since figures on other pictures could not be compared with the recorded ones, and for
    validation pictures that it learned from.
    """
    if part == "validation" and checkpoint.learned_from_validation:
        raise ConfigError(
            f"--record: {checkpoint.name} has learned from the validation pictures, so its scores "
            "on them mean nothing. Use --split test, or leave --record out."
        )
    here = {"name": data.name, "digest": data.digest(), "split_digest": splits.digest(data.split)}
    recorded = checkpoint.description.get("data", {})
    changed = [key for key, value in here.items() if recorded.get(key) != value]
    if changed:
        raise ConfigError(
            f"--record: {checkpoint.name} was trained on {checkpoint.data_name}, and "
            f"{', '.join(changed)} of the data here differ(s) from what it recorded. Give the same "
            "data set as --data and --data-root, or leave --record out."
        )


def is_outdated(checkpoint: Checkpoint) -> bool:
    """Whether the recorded figures belong to other weights than those in the folder now."""
    splits_of = checkpoint.metrics.get("splits", {}).values()
    digests = {found["f32"].get("digest") for found in splits_of if "f32" in found}
    return bool(digests - {checkpoint.digest()})


def record(checkpoint: Checkpoint, split: str, result: Evaluation) -> Checkpoint:
    """Puts figures under splits -> split -> precision into `metrics.json`; others stay.

    With them goes the digest of what was scored: a price counts only for the same weights. Those
    of test in float32 are what models are compared by: `per_image.csv` becomes that of their
    single pictures.

    Returns: the checkpoint as it now is.
    """
    figures = result.to_json()
    precision = figures["precision"]
    metrics = copy.deepcopy(checkpoint.metrics) or {"data": checkpoint.data_name}
    metrics.setdefault("splits", {}).setdefault(split, {})[precision] = {
        **figures,
        "digest": checkpoint.digest(precision),
    }
    # Before the figures, which say that the checkpoint has been scored.
    if (split, precision) == ("test", "f32"):
        rows = writing.csv_text(result.per_image)
        writing.write_text(checkpoint.path / folder.PER_IMAGE_FILE, rows)
    writing.write_json(checkpoint.path / folder.METRICS_FILE, metrics)
    return folder.read(checkpoint.path)
