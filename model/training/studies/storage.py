"""Where a search keeps its trials: how it is opened, what is said when it cannot be used, and which
trials that broke off are continued."""

from __future__ import annotations

import platform
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import optuna
from filelock import FileLock, Timeout
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from model.errors import ConfigError, StudioError, TrainingError
from model.training.studies.configs import GOES_ON, Tuning
from model.training.writer import RESUME_FILE

STORAGE_FILE = "search.db"
HEARTBEAT_SECONDS = 20
LOCKS = ".locks"
PROCESS = "process"
"""Attribute of a trial: who trains it, see `presence`."""
OUT_OF_REACH = (StorageInternalError, SQLAlchemyError)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    _RETRY = RetryHeartbeatStaleTrialCallback(inherit_intermediate_values=True)


class Storage(RDBStorage):
    """Optuna's, of which single heartbeats may fail."""

    def record_heartbeat(self, trial_id: int) -> None:
        # The next one makes up for it; an error would end their thread, with a traceback.
        with suppress(*OUT_OF_REACH):
            super().record_heartbeat(trial_id)


def open_study(config: Tuning) -> optuna.Study:
    """Creates the search, or opens it. Raises: `ConfigError` if the storage cannot be used."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        storage = Storage(
            config.storage or f"sqlite:///{(config.output / STORAGE_FILE).resolve()}",
            heartbeat_interval=HEARTBEAT_SECONDS,
            grace_period=3 * HEARTBEAT_SECONDS,
            heartbeat_stale_trial_callback=retry,
        )
        return optuna.create_study(
            storage=storage,
            study_name=config.study,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_warmup_steps=config.epochs // 4),
        )
    except Exception as error:  # each database driver has its own
        advice = (
            "It takes what Optuna takes: sqlite:///FILE, or postgresql:// and mysql:// with their "
            "driver."
            if config.storage
            else "It holds the search: it has to be writable, with room on its disk, and no other "
            "program may lock it."
        )
        raise ConfigError(
            f"{storage_name(config)} cannot be opened: {_reason(error)}. {advice}"
        ) from error


def storage_name(config: Tuning) -> str:
    """As the user knows it, without a password."""
    if config.storage:
        return f"--storage {_without_password(config.storage)}"
    return str(config.output / STORAGE_FILE)


def _without_password(url: str) -> str:
    return re.sub(r"(://[^:@/]*:).*(?=@)|(password=)[^&]*", r"\1\2***", url)


@contextmanager
def storage_explained(config: Tuning) -> Iterator[None]:
    """Turns the errors of a storage that cannot be read or written any more into a
    `TrainingError`."""
    try:
        yield
    except StudioError:
        raise
    except Exception as error:
        # While it handles an error of the storage, Optuna runs into one of its own.
        if not _of_database(error):
            raise
        raise TrainingError(
            f"{storage_name(config)} cannot be read or written: {_reason(error)}. Once "
            f"that is mended: {GOES_ON[0].lower()}{GOES_ON[1:]}"
        ) from error


def _of_database(error: BaseException | None) -> SQLAlchemyError | None:
    """The error of the database that led to this one."""
    while error and not isinstance(error, SQLAlchemyError):
        error = error.__cause__ or error.__context__
    return error


def _reason(error: Exception) -> str:
    """In the database's own words, without the SQL that was running."""
    found = _of_database(error) or error
    return " ".join(str(getattr(found, "orig", None) or found).split()).rstrip(".")


def trial_folder(config: Tuning, trial: FrozenTrial) -> Path:
    """Where a trial trains. One that takes over from one that broke off continues in its folder."""
    earlier = _RETRY.retried_trial_number(trial)
    return config.trial_folder(trial.number if earlier is None else earlier)


def retry(study: optuna.Study, trial: FrozenTrial) -> None:
    """The next process to search continues the trial, with what it has reported so far."""
    if trial.number not in _retried(study):
        _RETRY(study, trial)


def _retried(study: optuna.Study) -> set[int]:
    return {number for trial in study.trials for number in _RETRY.retry_history(trial)}


@contextmanager
def presence(config: Tuning) -> Iterator[str]:
    """While this process searches, others can tell by what this gives, which its trials record,
    that it is alive."""
    name = uuid4().hex
    path = config.output / LOCKS / name
    path.parent.mkdir(exist_ok=True)
    with FileLock(path):
        try:
            yield f"{_place(config)} {name}"
        finally:
            path.unlink(missing_ok=True)


def take_up(study: optuna.Study, config: Tuning) -> None:
    """Has those trials in `config.output` continued whose processes could not see to that: they
    were killed, or the storage was out of reach. Those of other machines wait for the heartbeat."""
    (config.output / LOCKS).mkdir(exist_ok=True)
    with FileLock(config.output / LOCKS / "take-up"):
        for trial in study.trials:
            # Looked at again, as its process may just have ended in good order.
            if _is_left(trial, config) and study.trials[trial.number].state == trial.state:
                study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
                retry(study, trial)


def _is_left(trial: FrozenTrial, config: Tuning) -> bool:
    """Whether it failed with something to continue, or runs in no living process."""
    if trial.state == TrialState.FAIL:
        return (trial_folder(config, trial) / RESUME_FILE).exists()
    place, _, name = trial.user_attrs.get(PROCESS, "").rpartition(" ")
    if trial.state != TrialState.RUNNING or place != _place(config):
        return False
    path = config.output / LOCKS / name
    if not path.exists():
        return True
    try:
        with FileLock(path, timeout=0):
            path.unlink()
    except Timeout:
        return False
    return True


def _place(config: Tuning) -> str:
    """The machine and folder that this process trains in."""
    return f"{platform.node()} {config.output.resolve()}"
