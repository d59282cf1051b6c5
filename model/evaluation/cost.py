"""What a model costs: operations, time and memory for a picture, on this machine.

    python -m model.evaluation.cost weights/pets-scratch    # peak memory in bytes

Time is the wall time that a segmentation states for a decoded picture: preprocessing, network, and
labels at the picture's own size, but no waiting for others' pictures. Models take turns, so that
whatever else the machine does affects them alike; the median of the rounds is reported.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.checkpoints import folder
from model.checkpoints.folder import Checkpoint
from model.data import streets
from model.errors import CheckpointError
from model.inference.segmenter import Segmenter

SIZES_WH = ((320, 240), (640, 480), (1280, 960))
"""Widths and heights of the pictures that latency is measured on."""

TYPICAL_WH = (640, 480)
"""The picture that operations and memory are stated for."""

ROUNDS = 7
MOST_SECONDS = 300
"""Time allowed for a process that opens a model and segments a picture."""

SEED = 604
"""A drawn street that is in no split."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds for a picture: median, fastest and slowest of the rounds."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Cost:
    """What was measured for a model.

    Attributes:
        flops: floating-point operations for a picture of `TYPICAL_WH`, see `flops`.
        latency: by size (width, height), see `SIZES_WH`.
        memory_bytes: see `peak_memory`; None where the system does not say.
        engine, precision: what computed it.
    """

    flops: int
    latency: Mapping[tuple[int, int], Latency]
    memory_bytes: int | None
    engine: str
    precision: str


def measure(
    segmenters: Mapping[str, Segmenter],
    *,
    rounds: int = ROUNDS,
    progress: Callable[[float], None] = lambda done: None,
) -> dict[str, Cost]:
    """Measures models against each other.

    Args:
        segmenters: by any name.
        progress: called with the share done, in [0, 1].

    Raises: `CheckpointError` if a checkpoint cannot be opened again.
    """
    steps, done = len(SIZES_WH) * (rounds + 1) + len(segmenters), 0
    times: dict[str, dict[tuple[int, int], list[float]]] = {name: {} for name in segmenters}
    for size in SIZES_WH:
        picture, _ = streets.draw(SEED, size)
        for turn in range(rounds + 1):
            for name, segmenter in segmenters.items():
                taken = sum(segmenter.segment(picture).milliseconds.values())
                if turn:  # the first one makes room for the size, and does not count
                    times[name].setdefault(size, []).append(taken)
            done += 1
            progress(done / steps)
    costs = {}
    for name, segmenter in segmenters.items():
        costs[name] = Cost(
            sum(flops(member) for member in segmenter.members),
            {
                size: Latency(statistics.median(t), min(t), max(t))
                for size, t in times[name].items()
            },
            peak_memory(segmenter.checkpoint),
            segmenter.engine,
            segmenter.precision,
        )
        done += 1
        progress(done / steps)
    return costs


def flops(checkpoint: Checkpoint, size_wh: tuple[int, int] = TYPICAL_WH) -> int:
    """Floating-point operations of the network for one picture, see `network_flops`."""
    height, width = checkpoint.preprocessing.fitted_hw(size_wh[1], size_wh[0])
    multiple = checkpoint.preprocessing.multiple
    return network_flops(checkpoint, *(-(-side // multiple) * multiple for side in (height, width)))


def network_flops(checkpoint: Checkpoint, height: int, width: int) -> int:
    """Floating-point operations of the network for an input of this size.

    A multiplication and the addition after it count as two. Convolutions, transposed ones and
    matrix products count, nothing else: the rest is a few per cent. They follow from the
    network's graph; nothing is computed.
    """
    from model.inference.engines.openvino import converted_network, core
    from model.inference.engines.quantisation import CONVOLUTIONS

    model = core().read_model(converted_network(checkpoint))
    model.reshape([1, 3, height, width])
    total = 0
    for node in model.get_ops():
        kind = node.get_type_name()
        if kind in CONVOLUTIONS:
            kernel = list(node.input(1).get_partial_shape().to_shape())
            inputs = list(node.input(0).get_shape())
            output = list(node.output(0).get_shape())
            # Weights are (out, in, ...), of groups (groups, out, in, ...), transposed (in, out,
            # ...): each output value, or input value if transposed, meets the rest of them.
            each = kernel[2:] if kind == "GroupConvolution" else kernel[1:]
            positions = inputs if kind == "ConvolutionBackpropData" else output
            total += 2 * int(np.prod(positions)) * int(np.prod(each))
        elif kind == "MatMul":
            total += 2 * int(np.prod(node.output(0).get_shape())) * node.input(0).get_shape()[-1]
    return total


def peak_memory(checkpoint: Checkpoint, size_wh: tuple[int, int] = TYPICAL_WH) -> int | None:
    """By how many bytes opening a model and segmenting a picture raises a process's peak memory.

    It is measured in a separate process, starting after the libraries are loaded. None where the
    system does not say (only Linux does).

    Raises: `CheckpointError` if the checkpoint cannot be opened there.
    """
    if not Path("/proc/self/status").is_file():
        return None
    try:
        done = subprocess.run(
            [sys.executable, "-m", "model.evaluation.cost", str(checkpoint.path.resolve())],
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            timeout=MOST_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise CheckpointError(
            f"The memory of {checkpoint.name} cannot be measured: one picture takes over "
            f"{MOST_SECONDS} seconds."
        ) from error
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise CheckpointError(f"The memory of {checkpoint.name} cannot be measured: {last[0]}")
    return int(done.stdout.split()[-1])


def _own_peak(path: str) -> int:
    from model.inference.engines.conversion import import_openvino

    import_openvino()  # the library is not the model's
    checkpoint = folder.read(path)
    picture, _ = streets.draw(SEED, TYPICAL_WH)
    with contextlib.suppress(OSError):
        # The peak so far is not the model's either: Linux forgets it on request.
        Path("/proc/self/clear_refs").write_text("5")
    before = process_status("VmRSS")
    Segmenter(checkpoint).segment(picture)
    return max(0, process_status("VmHWM") - before)


def process_status(field: str) -> int:
    """A size of this process in bytes: "VmRSS" is its memory, "VmHWM" the peak of that.

    Raises: `OSError` where the system does not say (only Linux does).
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise OSError(f"/proc/self/status has no {field}")


if __name__ == "__main__":
    print(_own_peak(sys.argv[1]))
