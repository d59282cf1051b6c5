"""From a checkpoint to OpenVINO's network, for which PyTorch is needed once.

A server that imports PyTorch for it answers nobody in the meantime and keeps more than a
gigabyte of memory until it ends; so a separate process does it, unless PyTorch is already imported.

    python -m model.inference.engines.conversion CHECKPOINT_FOLDER NETWORK.xml
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint

if TYPE_CHECKING:
    import openvino

logger = logging.getLogger(__name__)

REPOSITORY = Path(__file__).resolve().parents[3]
LONGEST_SECONDS = 600

# torch.jit.trace, which the converter uses, fails if two threads run it at once.
_TRACING = threading.Lock()


def write(checkpoint: Checkpoint, path: Path) -> None:
    """Writes the converted network, float32, as `path` (.xml) with its .bin next to it.

    Raises: `CheckpointError` for damaged weights; `OSError` if it cannot be written.
    """
    if "torch" in sys.modules or not _written_by_another(checkpoint, path):
        save(converted(checkpoint), path)


def converted(checkpoint: Checkpoint) -> openvino.Model:
    """The network with its weights in memory; inputs may have any multiple of its stride.

    Raises: `CheckpointError` for damaged weights.
    """
    import torch

    from model.checkpoints.weights import load_network

    openvino = import_openvino()
    network = load_network(checkpoint)
    size = 2 * checkpoint.preprocessing.multiple
    with _TRACING:
        return openvino.convert_model(
            network,
            example_input=torch.zeros(1, 3, size, size),
            input=[openvino.PartialShape([1, 3, -1, -1])],
        )


def save(model: openvino.Model, path: Path) -> None:
    """Writes a network with its weights unrounded. Raises: `OSError`."""
    import_openvino().save_model(model, path, compress_to_fp16=False)


def import_openvino() -> ModuleType:
    """The package `openvino`, without its telemetry."""
    # Its converter reports every import and conversion to its makers if this package can be
    # imported; without it, it does everything as before and reports nothing.
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


def _written_by_another(checkpoint: Checkpoint, path: Path) -> bool:
    """Whether another process could do it. If not, this one logs the reason."""
    folders = (str(place.absolute()) for place in (checkpoint.path, path))
    program = [sys.executable, "-m", __name__, *folders]
    try:
        done = subprocess.run(
            program,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.debug("%s was not converted by another process: %s", checkpoint.name, error)
        return False
    if done.returncode:
        logger.debug("%s was not converted by another process: %s", checkpoint.name, done.stderr)
    return not done.returncode


if __name__ == "__main__":
    save(converted(folder.read(Path(sys.argv[1]))), Path(sys.argv[2]))
