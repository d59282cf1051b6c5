"""What can go wrong in a run, noticed early and explained in words."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from torch import Tensor

from model.data.classes import ClassTable
from model.errors import ImageError, StudioError, TrainingError
from model.training.config import TrainConfig

logger = logging.getLogger(__name__)

COLLAPSE_EPOCHS = 3


def check_finite(loss: Tensor, config: TrainConfig) -> None:
    """Raises `TrainingError` if the loss is infinite or not a number."""
    if not loss.isfinite():
        half = "" if config.precision == "f32" else ", --precision f32"
        # A name alone would be looked up in weights/.
        named = len(config.output.parts) > 1
        run = config.output if named else os.path.join(os.curdir, config.output)
        raise TrainingError(
            f"The loss became {loss.item()}: the training has diverged. Try a lower --lr (now "
            f"{config.lr:g}), some --warmup-epochs{half} or another --loss (now {config.loss}), "
            f"with another --output. If an epoch has finished, {config.output} is a usable "
            f"checkpoint, and --start-from {run} continues from it."
        )


class CollapseWatch:
    """Notices a network that predicts one class everywhere, epoch after epoch."""

    def __init__(self, config: TrainConfig, classes: ClassTable) -> None:
        self.config = config
        self.classes = classes
        self.epochs = 0

    @property
    def is_over(self) -> bool:
        """Whether the run is to stop."""
        return self.epochs >= COLLAPSE_EPOCHS and self.config.on_collapse == "stop"

    def see(self, matrix: np.ndarray) -> None:
        """Takes note of an epoch's confusion matrix on validation, int (C, C), rows truth. Logs a
        warning after the third epoch in a row with only one class."""
        predicted = np.flatnonzero(matrix.sum(0))
        occurring = np.flatnonzero(matrix.sum(1))
        self.epochs = self.epochs + 1 if len(predicted) == 1 < len(occurring) else 0
        if self.epochs == COLLAPSE_EPOCHS and rank_zero_only.rank == 0:  # one speaks for all
            logger.warning("%s", self._advice(self.classes[int(predicted[0])].name))

    def _advice(self, name: str) -> str:
        config = self.config
        weights = "" if config.class_weights == "balanced" else ", with --class-weights balanced"
        return (
            f"For {COLLAPSE_EPOCHS} epochs the network has predicted '{name}' everywhere on the "
            "validation pictures; such a run seldom recovers. Check whether the masks are right "
            f"with `python -m model data preview {config.data}`, then try a lower --lr (now "
            f"{config.lr:g}), or --loss ce+dice (now {config.loss}){weights}. "
            + (
                "It stops here, as --on-collapse asks."
                if config.on_collapse == "stop"
                else "The run continues; --on-collapse stop would end it."
            )
        )


@contextmanager
def explained(config: TrainConfig, left: str = "") -> Iterator[None]:
    """Turns a full disk or memory, a file or another process that is gone, into a `TrainingError`.

    Args: left: what is left then and how to continue, where that is not a run.
    """
    left = left or kept(config)
    try:
        yield
    except ImageError as error:  # of the data set, as those of settings were read before
        if not isinstance(gone := error.__cause__, FileNotFoundError):
            raise
        raise TrainingError(f"{error} Put it back. {left}") from gone
    except StudioError:
        raise
    except OSError as error:
        raise TrainingError(f"{_explain(error, config)} {left}") from error
    except (RuntimeError, MemoryError) as error:
        if _is_of_another_process(error):
            raise TrainingError(
                "Another of the processes that train together has ended or cannot be reached: "
                f"its own message says why. {left}"
            ) from error
        if not _is_out_of_memory(error):
            raise
        raise TrainingError(
            f"There is not enough memory for {config.batch_size} crops of {config.crop} pixels. "
            "Lower --batch-size (and raise --accumulate by the same factor, now "
            f"{config.accumulate}), --crop, or --cache-gib (now {config.cache_gib:g}). {left}"
        ) from error


def kept(config: TrainConfig) -> str:
    """What is left of a run that broke off, and how to continue it."""
    return (
        f"If an epoch has finished, {config.output} is a usable checkpoint, and the same command "
        "with --resume continues."
    )


def _explain(error: OSError, config: TrainConfig) -> str:
    reason = error.strerror or str(error)
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return f"{config.output} has no room for more: {reason}. Free some space there."
        case errno.EACCES | errno.EPERM | errno.EROFS:
            place = Path(error.filename or config.output)
            written = place.absolute().is_relative_to(config.output.absolute())
            if written or error.errno == errno.EROFS:
                return f"{place} cannot be written: {reason}. Make it writable."
            return f"{place} cannot be read: {reason}. Make it readable."
        case errno.ENOENT:
            return f"{error.filename} is gone: {reason}. Put it back."
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{reason}."


def _is_of_another_process(error: Exception) -> bool:
    # Gloo's errors have no class of their own; NCCL's and those of the rendezvous do.
    return isinstance(error, torch.distributed.DistError) or "/gloo/" in str(error)


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # What torch says when the machine runs out of memory, which has no class of its own.
    return "can't allocate memory" in str(error) or "not enough memory" in str(error)
