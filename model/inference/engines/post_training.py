"""Finds how best to round a checkpoint's network to 8 bits: NNCF's post-training quantisation.

It runs training pictures through the network and records, for each place where activations are
rounded, their range there. Nothing is trained.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from model.checkpoints.folder import Checkpoint
from model.data.datasets import DataSet
from model.errors import ConfigError
from model.inference.engines.openvino import converted_network, core
from model.inference.engines.quantisation import (
    CONVOLUTIONS,
    Quantisation,
    Rounding,
    constant_input,
    named,
    structure_of,
    weights_digest,
)

if TYPE_CHECKING:
    from openvino import Model, Node


def calibrate(checkpoint: Checkpoint, data: DataSet, pictures: int) -> Quantisation:
    """Quantises the checkpoint's network on pictures spread evenly over the training split.

    Args: pictures: at most how many.
    Raises: `ConfigError` if NNCF is not installed, for fewer than one picture, and if the split has
        none; `CheckpointError` for damaged weights.
    """
    try:
        import nncf
    except ImportError as error:
        raise ConfigError("Calibration needs NNCF: pip install nncf==3.4.0") from error
    if pictures < 1:
        raise ConfigError(f"--pictures must be at least 1, got {pictures}.")
    names = data.names("train")
    if not names:
        raise ConfigError(f"{data.name} has no training pictures to calibrate on.")
    count = min(pictures, len(names))
    chosen = [names[index * len(names) // count] for index in range(count)]
    nncf.set_log_level(logging.WARNING)
    model = core().read_model(converted_network(checkpoint))
    convolutions = [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() in CONVOLUTIONS
    ]
    quantised = nncf.quantize(
        model,
        nncf.Dataset(chosen, lambda name: _network_input(checkpoint, data, name)),
        subset_size=count,
        # Activations after a ReLU have no negative half to waste steps on; others do.
        preset=nncf.QuantizationPreset.MIXED,
        # The first layer sees the picture and the last one decides: both are cheap to compute
        # exactly, and rounding them costs most.
        ignored_scope=nncf.IgnoredScope(names=[convolutions[0], convolutions[-1]]),
        # Biases are corrected layer by layer, each after those before it: twice the time, and
        # less than half the loss.
        fast_bias_correction=False,
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            # It would spare the first layer sums that saturate; `precision.native` wants
            # processors on which none do.
            overflow_fix=nncf.OverflowFix.DISABLE,
        ),
    )
    return found_by_nncf(model, quantised, weights_digest(checkpoint), count)


def found_by_nncf(model: Model, quantised: Model, weights: str, pictures: int) -> Quantisation:
    """What NNCF did to a network, told apart from the network itself.

    Args: model: before; quantised: after; weights, pictures: see `Quantisation`.
    """
    names = {node.get_friendly_name(): name for node, name in named(model)}
    after = {node.get_friendly_name(): node for node in quantised.get_ops()}
    scales, biases = {}, {}
    for node, name in named(model):
        twin = after[node.get_friendly_name()]
        if node.get_type_name() in CONVOLUTIONS:
            factor = twin.input(1).get_source_output().get_node()
            if factor.get_type_name() == "Multiply":
                scales[name] = _constant(factor, 1)
        elif node.get_type_name() == "Add" and (before := constant_input(node)) is not None:
            bias = _constant(twin, before.get_index())
            if not np.array_equal(bias, _constant(node, before.get_index())):
                biases[name] = bias
    roundings = [
        _rounding(node, names)
        for node in quantised.get_ordered_ops()
        if node.get_type_name() == "FakeQuantize"
    ]
    return Quantisation(roundings, scales, biases, structure_of(model), weights, pictures)


def _rounding(node: Node, names: dict[str, str]) -> Rounding:
    source = node.input(0).get_source_output()
    limits = [_constant(node, index) for index in range(1, 5)]
    return Rounding(
        source=(names[source.get_node().get_friendly_name()], source.get_index()),
        targets=sorted(
            (names[target.get_node().get_friendly_name()], target.get_index())
            for target in node.output(0).get_target_inputs()
        ),
        levels=node.get_attributes()["levels"],
        ranges=np.stack([limit.ravel() for limit in limits]),
        rank=limits[0].ndim,
    )


def _constant(node: Node, index: int) -> np.ndarray:
    # A copy: the node's own memory goes with the network.
    return np.array(node.input(index).get_source_output().get_node().get_data())


def _network_input(checkpoint: Checkpoint, data: DataSet, name: str) -> np.ndarray:
    preprocessing = checkpoint.preprocessing
    image = data.image(name)
    if preprocessing.longest_side is None:
        # At its own scale the picture may have any size; a tile of it serves as well.
        top, left = (max(0, side - preprocessing.tile) // 2 for side in image.shape[:2])
        image = image[top : top + preprocessing.tile, left : left + preprocessing.tile]
    return preprocessing.network_input(image)
