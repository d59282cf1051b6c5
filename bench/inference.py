"""How fast a network runs here: our engines against plain PyTorch and ONNX Runtime, in turns.

    python -m bench.inference
    python -m bench.inference --networks resnet34 --sizes 512x512 --rounds 9
    python -m bench.inference --checkpoint carla-resnet34 --sizes 416x320

Times are of one picture from the network's normalised input to its logits. "smp eager" is what
the README of segmentation_models_pytorch shows: `model.eval()`, then `model(x)` under
`torch.inference_mode()`, with all cores; for "scratch", our own U-Net run the same way.

Networks are untrained unless --checkpoint names one, and calibrated for int8 on drawn streets:
their speed is that of trained ones, but the agreement of their labels is not. Agreement is the
share of pixels on which the most probable class is eager's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro

from bench.timing import in_turns, machine
from model import writing
from model.checkpoints import folder, zoo
from model.checkpoints.folder import Checkpoint
from model.checkpoints.weights import load_network, save_network
from model.data import datasets, streets
from model.data.classes import OKABE_ITO, ClassTable
from model.data.preprocessing import Preprocessing
from model.errors import CheckpointError
from model.evaluation.cost import network_flops
from model.inference.engines import make_engine
from model.inference.engines.conversion import import_openvino
from model.inference.engines.post_training import calibrate
from model.inference.engines.precision import native
from model.networks.registry import architecture, construct
from model.user_cache import CACHE_VARIABLE

NETWORKS = {
    "scratch": "unet",
    "resnet34": "unet-resnet34",
    "vgg16_bn": "unet-vgg16_bn",
    "mobilenet_v2": "unet-mobilenet_v2",
}
CLASSES = 13
Run = Callable[[np.ndarray], np.ndarray]
"""float32 (1, 3, h, w) -> float32 (1, C, h, w)."""


@dataclass(frozen=True)
class Arguments:
    """Milliseconds, ratios, share of the processor's rate, memory and agreement by engine."""

    networks: tuple[str, ...] = tuple(NETWORKS)
    """Some of scratch, resnet34, vgg16_bn, mobilenet_v2."""
    checkpoint: str | None = None
    """A trained network instead: a name in weights/, or a checkpoint folder's path."""
    sizes: tuple[str, ...] = ("256x256", "512x512", "1024x768")
    """Width x height of the network's input, in pixels; multiples of 32."""
    rounds: int = 5
    memory: bool = True
    """Also measure each candidate's peak memory, in a separate process."""


def eager(checkpoint: Checkpoint) -> Run:
    network = load_network(checkpoint)

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(batch)).numpy()

    return run


def onnx_runtime(checkpoint: Checkpoint) -> Run:
    import onnxruntime

    path = checkpoint.path / "network.onnx"
    if not path.exists():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's newer exporter needs another package
            torch.onnx.export(
                load_network(checkpoint),
                (torch.zeros(1, 3, 64, 64),),
                str(path),
                dynamo=False,
                input_names=["x"],
                dynamic_axes={"x": {2: "h", 3: "w"}},
            )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, {"x": batch})[0]


CANDIDATES: dict[str, Callable[[Checkpoint], Run]] = {
    "smp eager": eager,
    "ONNX Runtime": onnx_runtime,
    "torch": lambda checkpoint: make_engine(checkpoint, "torch").logits,
    "openvino f32": lambda checkpoint: make_engine(checkpoint, "openvino", "f32").logits,
    "openvino bf16": lambda checkpoint: make_engine(checkpoint, "openvino", "bf16").logits,
    "openvino int8": lambda checkpoint: make_engine(checkpoint, "openvino", "int8").logits,
}


def untrained(path: Path, network: str, longest_side: int = 256) -> Checkpoint:
    """A checkpoint of a network with fresh weights, calibrated for int8."""
    torch.manual_seed(0)
    plan = architecture(network, CLASSES)
    built = construct(plan)
    path.mkdir(parents=True)
    classes = [(f"class {i}", OKABE_ITO[i % len(OKABE_ITO)]) for i in range(CLASSES)]
    writing.write_json(path / folder.CONFIG_FILE, plan.to_json())
    description = {
        "schema_version": folder.SCHEMA_VERSION,
        "classes": ClassTable.of(classes).to_json(),
        "preprocessing": Preprocessing(longest_side=longest_side).to_json(),
    }
    writing.write_json(path / folder.DESCRIPTION_FILE, description)
    save_network(built, path / folder.WEIGHTS_FILE)
    checkpoint = folder.read(path)
    calibrate(checkpoint, datasets.load("streets"), 16).write(checkpoint)
    return checkpoint


def picture(checkpoint: Checkpoint, size: str) -> np.ndarray:
    """A drawn street as the network's input, float32 (1, 3, h, w)."""
    width, height = map(int, size.split("x"))
    image = streets.draw(3, (width, height))[0]
    own = checkpoint.preprocessing
    same_size = Preprocessing(longest_side=max(width, height), mean=own.mean, std=own.std)
    return same_size.network_input(image)


def multiply_rates() -> dict[str, float]:
    """Operations per second in the product of two square matrices, by precision.

    All by oneDNN: PyTorch's for bf16 and int8, OpenVINO's for float32, for which PyTorch uses
    MKL, at half that rate on processors that are not Intel's.
    """
    openvino = import_openvino()
    side = 2048
    shape = [side, side]
    factors = [openvino.opset13.parameter(shape, np.float32) for _ in range(2)]
    model = openvino.Model([openvino.opset13.matmul(*factors, False, False)], factors)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()
    exact = torch.randn(side, side)
    arrays = [exact.numpy(), exact.numpy().T.copy()]
    rounded = exact.bfloat16()
    whole = torch.randint(-127, 128, (side, side), dtype=torch.int8)
    products = {
        "f32": lambda: request.infer(arrays, share_inputs=True, share_outputs=True),
        "bf16": lambda: rounded @ rounded,
        "int8": lambda: torch._int_mm(whole, whole),
    }
    times = in_turns(products, 7)
    return {name: float(2 * side**3 / time.seconds.min()) for name, time in times.items()}


def peak_memory(checkpoint: Checkpoint, candidate: str, size: str) -> int:
    """Peak memory in bytes of a separate process for one picture, imports included."""
    code = (
        "import sys\n"
        "from bench import inference\n"
        "from model.checkpoints import folder\n"
        "from model.evaluation.cost import process_status\n"
        "checkpoint = folder.read(sys.argv[1])\n"
        "run = inference.CANDIDATES[sys.argv[2]](checkpoint)\n"
        "run(inference.picture(checkpoint, sys.argv[3]))\n"
        "print(process_status('VmHWM'))"
    )
    command = [sys.executable, "-c", code, str(checkpoint.path), candidate, size]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1])


def compare(checkpoint: Checkpoint, size: str, arguments: Arguments, rates: dict) -> None:
    """Prints one table."""
    batch = picture(checkpoint, size)
    runs = {}
    for name, make in CANDIDATES.items():
        precision = name.split()[-1] if name.startswith("openvino") else "f32"
        if precision not in native():
            print(f"  {name:16}this processor has no {precision}")
            continue
        try:
            runs[name] = make(checkpoint)
        except CheckpointError as error:
            print(f"  {name:16}{error}")
    labels = {name: run(batch).argmax(1) for name, run in runs.items()}
    times = in_turns(
        {name: lambda run=run: run(batch) for name, run in runs.items()}, arguments.rounds
    )
    count = network_flops(checkpoint, *batch.shape[2:])
    print(f"\n{checkpoint.network_name}, {size}, {count / 1e9:.1f} GFLOP")
    heads = f"{'':16}{'ms':>8}  {'x eager':16}{'x ONNX Runtime':16}"
    print(f"  {heads}{'of rate':>8}{'agree':>9}{'MB':>7}")
    for name, time in times.items():
        precision = name.split()[-1] if name.startswith("openvino") else "f32"
        ratios = [str(time.times_faster_than(times[o])) for o in ("smp eager", "ONNX Runtime")]
        share = count / time.median / rates[precision]
        agreement = (labels[name] == labels["smp eager"]).mean()
        memory = f"{peak_memory(checkpoint, name, size) / 1e6:.0f}" if arguments.memory else ""
        print(
            f"  {name:16}{1e3 * time.median:>8.1f}  {ratios[0]:16}{ratios[1]:16}{share:>8.0%}"
            f"{agreement:>9.2%}{memory:>7}",
            flush=True,
        )


def main() -> None:
    arguments = tyro.cli(Arguments, prog="python -m bench.inference", description=__doc__)
    rates = multiply_rates()
    listed = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in rates.items())
    print(f"{machine()}, torch {torch.__version__}; GFLOP/s of a matrix product: {listed}")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ[CACHE_VARIABLE] = str(Path(temporary) / "cache")
        if arguments.checkpoint:
            checkpoints = [zoo.find(arguments.checkpoint)]
            print(f"Trained: {checkpoints[0].name}")
        else:
            checkpoints = [
                untrained(Path(temporary) / name, NETWORKS[name]) for name in arguments.networks
            ]
            print("Untrained networks: their speed is that of trained ones, agreement is not.")
        for checkpoint in checkpoints:
            for size in arguments.sizes:
                compare(checkpoint, size, arguments, rates)


if __name__ == "__main__":
    main()
