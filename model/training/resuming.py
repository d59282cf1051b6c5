"""Whether a run may be started or continued in a folder, and from which file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.data import splits
from model.data.datasets import DataSet
from model.errors import CheckpointError, ConfigError
from model.training.config import TrainConfig, changed_settings
from model.training.watching import SAMPLES_FOLDER
from model.training.writer import RESUME_FILE

LOCK_FILE = ".lock"

ENDS = ("time_limit", "early_stopping", "on_collapse")
"""Settings that end a run early: with others, one that has ended goes on."""


def resume_file(config: TrainConfig) -> Path | None:
    """The file to continue from; None for a new run.

    Raises: `ConfigError` if there is no run to continue, or one that must not be overwritten.
    """
    path = config.output / RESUME_FILE
    if not path.exists() and (config.output / folder.DESCRIPTION_FILE).exists():
        advice = _anew(config.output) if config.resume else "Choose another --output."
        raise ConfigError(
            f"{config.output} holds a checkpoint, but no {RESUME_FILE} to continue it from. "
            + advice
        )
    if config.resume:
        if not path.exists():
            raise ConfigError(
                f"--resume: {config.output} has no run to continue. Leave --resume out to start it."
            )
        return path
    if path.exists():
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
            f"still holds the epoch that it has kept. {_anew(output)}"
        ) from error
    _check_same(output, recorded, description)
    before = {key: recorded["training"][key] for key in ("before",) if key in recorded["training"]}
    return {"encoder": recorded["encoder"], "training": description["training"] | before}


def finished(config: TrainConfig, data: DataSet) -> Checkpoint | None:
    """The run in `config.output` if it has come to its end, which needs no file to continue from.

    Raises: `ConfigError` if it was started with other settings or data.
    """
    try:
        checkpoint = folder.read(config.output)
    except CheckpointError:  # not begun, or damaged
        return None
    recorded = {"training": {}, "data": {}} | checkpoint.description
    settings = config.portable()
    del settings["encoder_origin"]  # recorded elsewhere
    digests = {"digest": data.digest(), "split_digest": splits.digest(data.split)}
    described = {"training": settings, "data": {"name": data.name, **digests}}
    _check_same(config.output, recorded, described)
    training = recorded["training"]
    done = training.get("epochs_done")
    ended = training.get("ended") and all(training.get(name) == settings[name] for name in ENDS)
    if not (ended or done == config.epochs):
        return None
    # The history is what an epoch writes last.
    return checkpoint if len(checkpoint.history()) == done else None


def _check_same(output: Path, recorded: dict[str, Any], description: dict[str, Any]) -> None:
    """Raises `ConfigError` if a run was started with other settings or data."""
    if changed := changed_settings(recorded["training"], description["training"]):
        raise ConfigError(
            f"--resume: the run in {output} was started with {', '.join(changed)}. Repeat its own "
            "settings to continue it, or choose another --output for a new run."
        )
    if any(
        description["data"][key] != recorded["data"].get(key) for key in ("digest", "split_digest")
    ):
        raise ConfigError(
            f"--resume: the data set {description['data']['name']} or its split has changed since "
            f"the run in {output} was started. Choose another --output for a new run."
        )


def _anew(output: Path) -> str:
    return f"To train anew, delete {output} or choose another --output."
