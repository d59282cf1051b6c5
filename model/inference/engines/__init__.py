"""What runs a network: PyTorch, the reference, or OpenVINO, the fast one on x86 processors.

An engine maps a normalised batch, float32 (1, 3, h, w), to logits, float32 (1, C, h, w), in
a precision that is always set by us, never left to the runtime: by itself OpenVINO would
choose bf16 wherever the processor has it.
"""

from __future__ import annotations

import logging
import platform
from typing import Literal, Protocol, get_args

import numpy as np

from model.checkpoints.folder import Checkpoint
from model.errors import CheckpointError, ConfigError
from model.inference.engines import precision as precisions
from model.inference.engines.precision import PRECISIONS

logger = logging.getLogger(__name__)

EngineName = Literal["auto", "openvino", "torch"]
ENGINES: tuple[str, ...] = get_args(EngineName)


class Engine(Protocol):
    """Attributes: `name` of the runtime and `precision` of its arithmetic ("f32", ...)."""

    name: str
    precision: str

    @property
    def memory_bytes(self) -> int:
        """What it keeps in memory, estimated: weights, and buffers for the largest input so far."""
        ...

    def logits(self, batch: np.ndarray) -> np.ndarray:
        """float32 (1, 3, h, w), sides divisible by 32 -> float32 (1, C, h, w).

        Not to be called by two threads at the same time.
        """
        ...


def make_engine(checkpoint: Checkpoint, engine: str = "auto", precision: str = "auto") -> Engine:
    """Opens a checkpoint with an engine.

    Args:
        engine: "torch", "openvino", or "auto": OpenVINO on x86 processors, else PyTorch.
        precision: "f32", "bf16" or "int8" (OpenVINO only), or "auto": the fastest whose price
            is recorded in the checkpoint and at most `precision.MOST_POINTS`.

    Raises: `ConfigError` for an unknown engine or precision and for a precision that this
        processor lacks, `CheckpointError` for damaged or uncalibrated weights.
    """
    for name, value, known in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise ConfigError(f"There is no {name} '{value}'; choose one of {known}.")
    if engine == "auto":
        engine = "openvino" if platform.machine() in ("x86_64", "AMD64") else "torch"
    if engine == "torch":
        from model.inference.engines.pytorch import TorchEngine

        if precision not in ("auto", "f32"):
            raise ConfigError(
                f"PyTorch is the reference and computes in f32 only; for {precision} use the "
                "engine openvino."
            )
        return TorchEngine(checkpoint)
    from model.inference.engines.openvino import OpenVinoEngine

    if precision != "auto":
        precisions.check(precision)
        return OpenVinoEngine(checkpoint, precision)
    *cheaper, exact = precisions.affordable(checkpoint)
    for candidate in cheaper:
        try:
            return OpenVinoEngine(checkpoint, candidate)
        except CheckpointError as error:
            logger.warning("%s is not served in %s: %s", checkpoint.name, candidate, error)
    return OpenVinoEngine(checkpoint, exact)


__all__ = ["ENGINES", "PRECISIONS", "Engine", "EngineName", "make_engine"]
