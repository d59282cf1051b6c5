"""Whether a run may be started or continued in a folder, and from which file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from model.checkpoints import folder
from model.errors import CheckpointError, ConfigError
from model.training.config import TrainConfig, changed_settings
from model.training.watching import SAMPLES_FOLDER
from model.training.writer import RESUME_FILE

LOCK_FILE = ".lock"


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
    for name in (folder.CONFIG_FILE, folder.WEIGHTS_FILE, folder.CARD_FILE):
        if (config.output / name).exists():
            raise ConfigError(
                f"{config.output} holds a {name} that a run would replace. Choose another --output."
            )
    return None


@contextmanager
def run_folder(path: Path) -> Iterator[None]:
    """Creates the run's folder and keeps other processes out of it until the run ends, however it
    does.

    Raises: `ConfigError` if it cannot be created or written, or another process trains in it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / LOCK_FILE, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise ConfigError(
            f"Another process is training in {path}. Wait for it to end, or choose another "
            "--output."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"--output {path} cannot be created or written: {error.strerror}. Choose another."
        ) from error
    try:
        for place in (path, path / Path(RESUME_FILE).parent, path / SAMPLES_FOLDER):
            for cut_short in place.glob(".*.[0-9]*.part"):  # killed while writing
                cut_short.unlink()
        yield
    finally:
        (path / LOCK_FILE).unlink(missing_ok=True)
        lock.release()


def check_same_run(path: Path, description: dict[str, Any]) -> dict[str, Any]:
    """Returns: what the run's description says about what it started from.

    Raises: `ConfigError` if it was started with other settings or data, `CheckpointError` if the
        file is damaged.
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
    before = {key: recorded["training"][key] for key in ("before",) if key in recorded["training"]}
    return {"encoder": recorded["encoder"], "training": description["training"] | before}
