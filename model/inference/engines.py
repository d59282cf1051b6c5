"""What runs a network: PyTorch, the reference, or OpenVINO, the fast one on x86 processors.

An engine maps a normalised batch, float32 (1, 3, h, w), to logits, float32 (1, C, h, w).
Precision is always set by us, never left to the runtime: OpenVINO by itself would choose
bf16 wherever the processor has it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Protocol

import numpy as np

from model.checkpoints.folder import Checkpoint
from model.errors import ConfigError

if TYPE_CHECKING:
    import openvino

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "UNET_STUDIO_CACHE"
ENGINES = ("auto", "openvino", "torch")


class Engine(Protocol):
    """Attributes: `name` of the runtime and `precision` of its arithmetic."""

    name: str
    precision: str

    def logits(self, batch: np.ndarray) -> np.ndarray:
        """float32 (1, 3, h, w), sides divisible by 32 -> float32 (1, C, h, w)."""
        ...


class TorchEngine:
    """PyTorch, float32, channels_last."""

    name = "torch"
    precision = "f32"

    def __init__(self, checkpoint: Checkpoint) -> None:
        import torch

        from model.checkpoints.weights import load_network

        self._torch = torch
        self._network = load_network(checkpoint).to(memory_format=torch.channels_last)

    def logits(self, batch: np.ndarray) -> np.ndarray:
        torch = self._torch
        with torch.inference_mode():
            tensor = torch.from_numpy(batch).to(memory_format=torch.channels_last)
            return self._network(tensor).numpy()


class OpenVinoEngine:
    """OpenVINO on the CPU, float32. The converted network is cached on disk.

    The cache is keyed by the weights' and the configuration's hash, so that a second start
    neither converts again nor imports torch.
    """

    name = "openvino"
    precision = "f32"

    def __init__(self, checkpoint: Checkpoint) -> None:
        core = _import_openvino().Core()
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        try:
            model = _read_or_convert(core, checkpoint)
        except OSError as error:
            logger.warning("Converted networks cannot be kept in %s: %s.", cache_folder(), error)
            model = _convert(checkpoint)
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()

    def logits(self, batch: np.ndarray) -> np.ndarray:
        # Not shared: the request's output buffer is overwritten by its next run.
        return self._request.infer([batch], share_outputs=False)[0]


def make_engine(checkpoint: Checkpoint, engine: str = "auto") -> Engine:
    """Opens a checkpoint with an engine.

    Args:
        engine: "torch", "openvino", or "auto": OpenVINO on x86 processors, else PyTorch.

    Raises: `ConfigError` for an unknown engine, `CheckpointError` for damaged weights.
    """
    if engine not in ENGINES:
        raise ConfigError(f"There is no engine '{engine}'; choose one of {ENGINES}.")
    if engine == "auto":
        engine = "openvino" if platform.machine() in ("x86_64", "AMD64") else "torch"
    return OpenVinoEngine(checkpoint) if engine == "openvino" else TorchEngine(checkpoint)


def cache_folder() -> Path:
    """Where converted networks are kept: `UNET_STUDIO_CACHE`, else below the user's cache."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unet-studio"
    return Path(os.environ.get(CACHE_VARIABLE) or default)


def converted_network(checkpoint: Checkpoint) -> Path:
    """The OpenVINO network of a checkpoint, converted now if it is not in the cache.

    Returns: the path of its `.xml`; the `.bin` with the weights lies beside it.
    """
    openvino = _import_openvino()
    key = hashlib.sha256(openvino.__version__.encode())
    key.update(repr(sorted(checkpoint.config.items(), key=lambda item: item[0])).encode())
    key.update(checkpoint.weights_path.read_bytes())
    folder = cache_folder() / f"{checkpoint.name}-{key.hexdigest()[:24]}"
    path = folder / "network.xml"
    if path.exists():
        return path
    shutil.rmtree(folder, ignore_errors=True)  # something incomplete, else no rename to it
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written beside and renamed whole: another process may convert the same one.
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        openvino.save_model(_convert(checkpoint), part / path.name, compress_to_fp16=False)
        try:
            part.rename(folder)
        except OSError:
            if not path.exists():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def _read_or_convert(core: openvino.Core, checkpoint: Checkpoint) -> openvino.Model:
    path = converted_network(checkpoint)
    try:
        return core.read_model(path)
    except RuntimeError:
        logger.warning("The cached network %s is damaged; converting again.", path)
        shutil.rmtree(path.parent)
        return core.read_model(converted_network(checkpoint))


def _convert(checkpoint: Checkpoint) -> openvino.Model:
    import torch

    from model.checkpoints.weights import load_network

    openvino = _import_openvino()
    network = load_network(checkpoint)
    size = 2 * checkpoint.preprocessing.multiple
    return openvino.convert_model(
        network,
        example_input=torch.zeros(1, 3, size, size),
        input=[openvino.PartialShape([1, 3, -1, -1])],
    )


def _import_openvino() -> ModuleType:
    # OpenVINO's converter reports every import and conversion to its makers if this package
    # can be imported; without it, it does all the same and reports nothing.
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino
