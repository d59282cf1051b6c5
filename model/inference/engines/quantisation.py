"""int8: a network's convolutions in 8-bit integers, as calibration found that they should be.

Weights w of an output channel become round(w / s) with s = max |w| / 127; activations x are
clipped to a range [low, high] seen in calibration and rounded to 256 steps in it. Rounding
shifts the mean of a convolution's outputs, and corrected biases shift it back. After B. Jacob
et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018, arXiv 1712.05877, and M. Nagel et al., "Data-Free Quantization Through
Weight Equalization and Bias Correction", ICCV 2019, arXiv 1906.04721.

`Quantisation` is what NNCF found, without the weights: a few hundred kilobytes beside
`model.safetensors`, from which the int8 network is made again where it serves.

Operations are named by type and place, "Convolution:3" being the fourth convolution in the
order of computation: the converter's own names are counters that differ from run to run.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from model.checkpoints.folder import INT8_FILE, Checkpoint
from model.checkpoints.zoo import weights_folder
from model.digest import file_digest
from model.errors import CheckpointError
from model.writing import write_bytes

if TYPE_CHECKING:
    from openvino import Model, Node

CONVOLUTIONS = ("Convolution", "GroupConvolution", "ConvolutionBackpropData")


@dataclass(frozen=True)
class Rounding:
    """Where activations are rounded.

    Attributes:
        source: the operation whose output is rounded, and the output's index.
        targets: the operations that get it rounded, and the index of their input.
        levels: number of steps between low and high.
        ranges: float32 (4, 1) or (4, C): low and high of the input and of the output.
        rank: number of dimensions that the ranges of each channel are spread over; 0 for one
            range for all.
    """

    source: tuple[str, int]
    targets: list[tuple[str, int]]
    levels: int
    ranges: np.ndarray
    rank: int


@dataclass(frozen=True)
class Quantisation:
    """All that turns a float32 network into an int8 one.

    Attributes:
        roundings: of activations.
        scales: float32 by convolution, the value of one step of its weights, in a shape that
            broadcasts with them.
        biases: float32 by addition, in the shape of the constant that is added.
        structure: digest of the float32 network's graph, see `structure_of`.
        weights: SHA-256 of the `model.safetensors` that was calibrated.
        pictures: how many it was calibrated on.
    """

    roundings: list[Rounding]
    scales: dict[str, np.ndarray]
    biases: dict[str, np.ndarray]
    structure: str
    weights: str = ""
    pictures: int = 0

    def apply(self, model: Model) -> Model:
        """Makes the float32 network int8, in place.

        Raises: `CheckpointError` if it is not the network that was calibrated.
        """
        if structure_of(model) != self.structure:
            raise CheckpointError(
                f"{INT8_FILE} was made with another version of OpenVINO or PyTorch, which converts "
                "the network differently."
            )
        from openvino import opset13 as ops

        nodes = {name: node for node, name in named(model)}
        for name, scale in self.scales.items():
            source = nodes[name].input(1).get_source_output()
            rounded = rounded_weights(source.get_node().get_data(), scale)
            weights = ops.multiply(ops.convert(ops.constant(rounded), "f32"), ops.constant(scale))
            nodes[name].input(1).replace_source_output(weights.output(0))
        for name, bias in self.biases.items():
            constant_input(nodes[name]).replace_source_output(ops.constant(bias).output(0))
        for rounding in self.roundings:
            name, index = rounding.source
            source = nodes[name].output(index)
            shape = [1, -1] + [1] * (rounding.rank - 2) if rounding.rank else []
            limits = [ops.constant(row.reshape(shape)) for row in rounding.ranges]
            quantised = ops.fake_quantize(source, *limits, rounding.levels)
            for target, place in rounding.targets:
                nodes[target].input(place).replace_source_output(quantised.output(0))
        model.validate_nodes_and_infer_types()
        return model

    def write(self, checkpoint: Checkpoint) -> None:
        """Writes the checkpoint's `int8.safetensors`."""
        from safetensors.numpy import save

        tensors = {f"range.{i}": r.ranges for i, r in enumerate(self.roundings)}
        tensors |= {f"scale.{name}": value for name, value in self.scales.items()}
        tensors |= {f"bias.{name}": value for name, value in self.biases.items()}
        roundings = [
            {"source": r.source, "targets": r.targets, "levels": r.levels, "rank": r.rank}
            for r in self.roundings
        ]
        metadata = {
            "roundings": json.dumps(roundings),
            "structure": self.structure,
            "weights": self.weights,
            "pictures": str(self.pictures),
        }
        write_bytes(checkpoint.int8_path, save(tensors, metadata))


def read(checkpoint: Checkpoint) -> Quantisation:
    """Reads a checkpoint's `int8.safetensors`.

    Raises: `CheckpointError` if there is none, it is damaged, or belongs to other weights.
    """
    from safetensors import SafetensorError, safe_open

    path = checkpoint.int8_path
    if not path.is_file():
        raise CheckpointError(
            f"{checkpoint.name} is not calibrated for int8. Do it once: {command(checkpoint)}"
        )
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        quantisation = _from_file(tensors, metadata)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}). Make it again: {command(checkpoint)}"
        ) from error
    if quantisation.weights != weights_digest(checkpoint):
        raise CheckpointError(
            f"{path} was calibrated for other weights than those next to it. Make it again: "
            f"{command(checkpoint)}"
        )
    return quantisation


def command(checkpoint: Checkpoint) -> str:
    """The command line that writes its `int8.safetensors`."""
    path = checkpoint.path.absolute()  # a bare name would be looked up in weights/
    name = path.name if path.parent == weights_folder().absolute() else str(path)
    return shlex.join(["python", "-m", "model", "quantise", "--checkpoint", name])


def weights_digest(checkpoint: Checkpoint) -> str:
    """SHA-256 of `model.safetensors`, 64 hex digits."""
    return file_digest(checkpoint.weights_path)


def named(model: Model) -> list[tuple[Node, str]]:
    """The operations in the order of computation, constants left out, with their names here."""
    counts: dict[str, int] = {}
    found = []
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind != "Constant":
            found.append((node, f"{kind}:{counts.get(kind, 0)}"))
            counts[kind] = counts.get(kind, 0) + 1
    return found


def structure_of(model: Model) -> str:
    """SHA-256 of the graph: its operations, what feeds what, and the constants' shapes."""
    names = {node.get_friendly_name(): name for node, name in named(model)}
    total = hashlib.sha256()
    for node, name in named(model):
        total.update(name.encode())
        for value in node.inputs():
            source = value.get_source_output()
            other = source.get_node().get_friendly_name()
            shape = value.get_partial_shape().to_string()
            total.update(f" {names.get(other, shape)}.{source.get_index()}".encode())
    return total.hexdigest()


def rounded_weights(weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """int8 in [-127, 127], the number of steps of `scale` nearest to each weight.

    In float32 and in the order of OpenVINO's `FakeQuantize`, so that weights halfway between
    two steps, among them each channel's largest, go to the same one as when they were scored.
    """
    high = scale * np.float32(127)
    return (np.rint((weights + high) / (2 * high) * np.float32(254)) - 127).astype(np.int8)


def constant_input(node: Node) -> Any:
    """The input of an addition that a constant feeds; None if none does."""
    for value in node.inputs():
        if value.get_source_output().get_node().get_type_name() == "Constant":
            return value
    return None


def _from_file(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> Quantisation:
    def group(prefix: str) -> dict[str, np.ndarray]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    ranges = group("range.")
    return Quantisation(
        roundings=[
            Rounding(
                source=tuple(entry["source"]),
                targets=[tuple(target) for target in entry["targets"]],
                levels=entry["levels"],
                ranges=ranges[str(index)],
                rank=entry["rank"],
            )
            for index, entry in enumerate(json.loads(metadata["roundings"]))
        ],
        scales=group("scale."),
        biases=group("bias."),
        structure=metadata["structure"],
        weights=metadata["weights"],
        pictures=int(metadata["pictures"]),
    )
