"""OpenVINO on the CPU: the engine that serves."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.checkpoints.folder import Checkpoint
from model.errors import CheckpointError
from model.inference.engines import cache, conversion
from model.inference.engines.conversion import import_openvino
from model.processor import available_cores, visible_cores
from model.user_cache import cache_folder

if TYPE_CHECKING:
    import openvino

logger = logging.getLogger(__name__)

SETTINGS = {
    "PERFORMANCE_HINT": "LATENCY",
    # Threads bound to cores gain nothing for one picture, and two processes would be bound to
    # the same ones.
    "ENABLE_CPU_PINNING": False,
    # Kernels of each kind that are kept, for shapes that come again: of 5 to 30 shapes, by network.
    # With OpenVINO's 5000, each of hundreds of shapes would keep 2 to 4 MB. Its makers name this
    # setting for it: https://github.com/openvinotoolkit/openvino/issues/23316
    "CPU_RUNTIME_CACHE_CAPACITY": 512,
}


class OpenVinoEngine:
    """OpenVINO in one precision: "f32", "bf16" or "int8" (see `quantisation`).

    The converted network is cached on disk, so that a second start does not convert again. What
    int8 leaves unrounded is computed in float32.

    Raises: `CheckpointError` for damaged weights, and for int8 where it was not calibrated.
    """

    name = "openvino"

    def __init__(self, checkpoint: Checkpoint, precision: str = "f32") -> None:
        self.precision = precision
        model = _open(checkpoint, quantised=precision == "int8")
        hint = "bf16" if precision == "bf16" else "f32"
        settings = {**SETTINGS, "INFERENCE_PRECISION_HINT": hint}
        self._request = core().compile_model(model, "CPU", settings).create_infer_request()
        self._weights_bytes = _weights_bytes(model)
        self._bytes_per_pixel = _bytes_per_pixel(model) / (1 if precision == "f32" else 2)
        self._most_pixels = 0

    @property
    def memory_bytes(self) -> int:
        # The weights as stored in the file, and again in the order that the processor prefers.
        return int(2 * self._weights_bytes + self._most_pixels * self._bytes_per_pixel)

    def logits(self, batch: np.ndarray) -> np.ndarray:
        self._most_pixels = max(self._most_pixels, batch.shape[2] * batch.shape[3])
        # Not shared: the request's output buffer is overwritten by its next run.
        return self._request.infer([batch], share_outputs=False)[0]


def converted_network(checkpoint: Checkpoint, *, quantised: bool = False) -> Path:
    """The OpenVINO network of a checkpoint, converted now if it is not in the cache.

    Returns: the path of its `.xml`; the `.bin` with the weights is next to it.
    Raises: as `OpenVinoEngine` does; `OSError` if it cannot be stored.
    """
    kind = "int8" if quantised else "f32"
    key = checkpoint.digest(kind)[:24]
    name = f"{kind}-{import_openvino().__version__.split('-')[0]}-{key}"
    return cache.network(name, lambda path: _write(checkpoint, path, quantised=quantised))


def capabilities() -> list[str]:
    """What OpenVINO says that this processor can do, such as "BF16"."""
    return core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@functools.cache
def core() -> openvino.Core:
    """OpenVINO's runtime: the only one in the process, kept until it ends.

    Each runtime installs a signal stack in the thread that compiles first, and restores the
    previous one when it is dropped. If several are dropped in an order other than that of their
    creation, that one may be gone: the next signal, such as Ctrl-C, then kills the process.
    """
    runtime = import_openvino().Core()
    if available_cores() < visible_cores():
        runtime.set_property("CPU", {"INFERENCE_NUM_THREADS": available_cores()})
    return runtime


def _open(checkpoint: Checkpoint, *, quantised: bool) -> openvino.Model:
    if quantised and not checkpoint.int8_path.is_file():
        return _convert(checkpoint, quantised=True)  # which says what is missing
    try:
        path = converted_network(checkpoint, quantised=quantised)
        try:
            return core().read_model(path)
        except RuntimeError:
            # Complete, but not readable by this version of OpenVINO.
            logger.warning("The cached network %s cannot be read; converting again.", path)
            cache.remove(path.parent)
            return core().read_model(converted_network(checkpoint, quantised=quantised))
    except OSError as error:
        where = cache_folder()
        logger.warning("Converted networks cannot be kept in %s: %s.", where, error)
        return _convert(checkpoint, quantised=quantised)


def _write(checkpoint: Checkpoint, path: Path, *, quantised: bool) -> None:
    if quantised:
        conversion.save(_convert(checkpoint, quantised=True), path)
    else:
        conversion.write(checkpoint, path)


def _convert(checkpoint: Checkpoint, *, quantised: bool) -> openvino.Model:
    if quantised:
        from model.inference.engines import quantisation

        ranges = quantisation.read(checkpoint)
        exact = _open(checkpoint, quantised=False)
        try:
            return ranges.apply(exact)
        except CheckpointError as error:
            again = quantisation.command(checkpoint)
            raise CheckpointError(f"{error} Make it again: {again}") from error
        except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{checkpoint.int8_path} is damaged ({error}). Make it again: "
                f"{quantisation.command(checkpoint)}"
            ) from error
    return conversion.converted(checkpoint)


def _weights_bytes(model: openvino.Model) -> int:
    constants = [node for node in model.get_ops() if node.get_type_name() == "Constant"]
    return sum(node.get_byte_size() for node in constants)


def _bytes_per_pixel(model: openvino.Model) -> float:
    """Bytes of float32 buffers that OpenVINO keeps per input pixel; changes the model's input size.

    OpenVINO does not report it. Measured on U-Nets it was 1 / 3.3 to 1 / 3.9 of the outputs of all
    operations together, as buffers are reused once their readers are done.
    """
    side = 128
    model.reshape([1, 3, side, side])
    outputs = [out for node in model.get_ops() for out in node.outputs()]
    held = [o for o in outputs if o.get_node().get_type_name() != "Constant"]
    return 4 * sum(int(np.prod(list(out.get_shape()))) for out in held) / side**2 / 3.5
