"""Whether a run may be started or continued in a folder, and from which file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from model.checkpoints import folder
from model.errors import CheckpointError, ConfigError
from model.training.config import TrainConfig, changed_settings
from model.training.writer import RESUME_FILE


def resume_file(config: TrainConfig) -> Path | None:
    """The file to continue from; None for a new run.

    Raises: `ConfigError` if there is no run to continue, or one that must not be overwritten.
    """
    path = config.output / RESUME_FILE
    if config.resume:
        if not path.exists():
            raise ConfigError(
                f"--resume: {config.output} has no run to continue. Leave --resume out to start it."
            )
        return path
    if path.exists() or (config.output / folder.DESCRIPTION_FILE).exists():
        raise ConfigError(
            f"{config.output} already holds a run. Add --resume to continue it, or choose another "
            "--output."
        )
    return None


def check_same_run(path: Path, description: dict[str, Any]) -> None:
    """Raises `ConfigError` if the run behind the file was started with other settings or data,
    `CheckpointError` if the file is damaged.
    """
    output = path.parents[1]
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        recorded = state["callbacks"]["RunWriter"]["description"]
    except Exception as error:  # zip, pickle and torch each have their own
        raise CheckpointError(
            f"--resume: {path} is damaged, so the run cannot be continued. {output} "
            "still holds its best epoch; start again with another --output."
        ) from error
    if changed := changed_settings(recorded["training"], description["training"]):
        raise ConfigError(
            f"--resume: the run in {output} was started with {', '.join(changed)}. Repeat its own "
            "settings to continue it, or choose another --output for a new run."
        )
    if any(description["data"][key] != recorded["data"][key] for key in ("digest", "split_digest")):
        raise ConfigError(
            f"--resume: the data set {description['data']['name']} or its split has changed since "
            f"the run in {output} was started. Choose another --output for a new run."
        )
