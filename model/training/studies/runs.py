"""One training run of a study: with its own split, continued where it stopped, scored."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

from model.checkpoints import folder, trained_on, zoo
from model.checkpoints.folder import Checkpoint
from model.data import splits
from model.data.datasets import DataSet
from model.data.splits import Split
from model.errors import ConfigError
from model.evaluation.studies import StudyData
from model.training.config import TrainConfig
from model.training.resuming import finished
from model.training.run import finish, train
from model.training.writer import RESUME_FILE


def with_split(data: DataSet, split: Split, rule: str) -> DataSet:
    """The same data with another split; `rule` says in words what it is."""
    other = copy.copy(data)
    other.use_split(split, rule)
    return other


def study_data(data: DataSet) -> StudyData:
    """What a study's file says about the data."""
    return StudyData(
        name=data.name,
        title=data.title,
        digest=data.digest(),
        split_rule=data.split_rule,
        split_digest=splits.digest(data.split),
        split_sizes={part: len(names) for part, names in data.split.items()},
    )


def check_start(config: TrainConfig, data: DataSet, *, splits_anew: bool = False) -> None:
    """Raises `ConfigError` if the study would start from a network that has learned from pictures
    that the study is to choose by or to score on; else as `zoo.find`.

    Args: splits_anew: whether the study's runs have their own splits.
    """
    if not config.start_from:
        return
    start = zoo.find(config.start_from)
    if splits_anew and start.description.get("data", {}).get("digest") == data.digest():
        raise ConfigError(
            f"--start-from {config.start_from}: it has learned from the same data, of which "
            f"{config.COMMAND} holds out other pictures. Leave it out, or start from a network "
            "trained on other data."
        )
    trained_on.check_start(start, data, include_validation=False)


def trained(config: TrainConfig, data: DataSet, parts: Sequence[str]) -> Checkpoint:
    """Trains a run, scores it on parts of its split and writes its report and card, as far as that
    is not done yet."""
    checkpoint = finished(config, data)
    if checkpoint is None:
        begun = any((config.output / n).exists() for n in (RESUME_FILE, folder.DESCRIPTION_FILE))
        checkpoint = train(replace(config, resume=begun), data, score=False)
    missing = tuple(part for part in parts if not _is_scored(checkpoint, part))
    if missing or not (checkpoint.path / folder.CARD_FILE).exists():  # written last
        finish(checkpoint.path, data, missing)
        checkpoint = folder.read(checkpoint.path)
    return checkpoint


def _is_scored(checkpoint: Checkpoint, part: str) -> bool:
    scored = checkpoint.figures(part)
    return scored is not None and scored.get("digest") == checkpoint.digest()
