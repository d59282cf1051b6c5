"""Preprocessing, network and the way back to labels, put together."""

from __future__ import annotations

import io
import json
import warnings

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from model import __version__
from model.checkpoints.folder import Checkpoint
from model.checkpoints.weights import load_network
from model.data.preprocessing import Preprocessing
from model.inference.onnx_export.graph import Graph
from model.inference.onnx_export.pillow_resize import resize

OPSET = 18


def model(checkpoint: Checkpoint) -> onnx.ModelProto:
    """See `onnx_model`."""
    network = _network(checkpoint)
    graph = Graph()
    size_hw = graph.Shape("image", start=0, end=2)
    fitted_hw = _fitted_hw(graph, size_hw, checkpoint.preprocessing)
    _network_input(graph, size_hw, fitted_hw, checkpoint.preprocessing)
    graph.nodes += network.graph.node
    graph.constants += network.graph.initializer
    _labels(graph, size_hw, fitted_hw, len(checkpoint.classes))
    whole = helper.make_graph(
        graph.nodes,
        "segmentation",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["H", "W", 3])],
        [helper.make_tensor_value_info("labels", TensorProto.UINT8, ["H", "W"])],
        graph.constants,
    )
    result = helper.make_model(
        whole,
        ir_version=network.ir_version,
        opset_imports=network.opset_import,
        producer_name="U-Net Studio",
        producer_version=__version__,
    )
    data = checkpoint.description.get("data", {})
    properties = {
        "model": checkpoint.name,
        "classes": json.dumps(checkpoint.classes.to_json(), ensure_ascii=False),
        "data": data.get("title") or "",
        "licence": data.get("licence") or "",
    }
    helper.set_model_props(result, properties)
    onnx.checker.check_model(result, full_check=True)
    return result


def _fitted_hw(graph: Graph, size_hw: str, preprocessing: Preprocessing) -> str:
    """`Preprocessing.fitted_hw`: in float64, halves to the even number."""
    if preprocessing.longest_side is None:
        return size_hw
    size = graph.Cast(size_hw, to=TensorProto.DOUBLE)
    scale = graph.Div(float(preprocessing.longest_side), graph.ReduceMax(size, keepdims=0))
    rounded = graph.Cast(graph.Round(graph.Mul(size, scale)), to=TensorProto.INT64)
    return graph.Max(rounded, 1)


def _network_input(
    graph: Graph, size_hw: str, fitted_hw: str, preprocessing: Preprocessing
) -> None:
    """`Preprocessing.network_input`: `image` to `batch`."""
    planes = graph.Transpose("image", perm=[2, 0, 1])
    if preprocessing.longest_side is not None:
        planes = resize(graph, planes, size_hw, fitted_hw)
    deviation = np.asarray(preprocessing.std, np.float32)
    scale = (1 / (255 * deviation)).reshape(3, 1, 1)
    shift = (np.asarray(preprocessing.mean, np.float32) / deviation).reshape(3, 1, 1)
    values = graph.Cast(planes, to=TensorProto.FLOAT)
    normalised = graph.Sub(graph.Mul(values, scale), shift)
    # After normalisation the mean colour is zero, so zeros pad with it.
    missing = graph.Mod(graph.Neg(fitted_hw), preprocessing.multiple)
    margins = graph.Concat(np.zeros(4, np.int64), missing, axis=0)
    graph.Unsqueeze(graph.Pad(normalised, margins), np.array([0]), name="batch")


def _labels(graph: Graph, size_hw: str, fitted_hw: str, num_classes: int) -> None:
    """`logits` to `labels`.

    A running maximum over the classes: memory does not grow with their number.
    """
    sides = np.array([2, 3])
    cropped = graph.Slice("logits", np.array([0, 0]), fitted_hw, sides)
    shape = graph.Concat(np.array([1, 1]), size_hw, axis=0)
    best = ""
    labels = graph.Expand(np.uint8(0), shape)
    for label, plane in enumerate(graph.split(cropped, num_classes, axis=1)):
        logits = graph.Resize(plane, "", "", shape, mode="linear")
        if label:
            labels = graph.Where(graph.Greater(logits, best), np.uint8(label), labels)
            logits = graph.Max(best, logits)
        best = logits
    graph.Reshape(labels, size_hw, name="labels")


def _network(checkpoint: Checkpoint) -> onnx.ModelProto:
    """The network alone: `batch`, float32 (1, 3, h, w) -> `logits`, float32 (1, C, h, w)."""
    side = 2 * checkpoint.preprocessing.multiple
    file = io.BytesIO()
    with warnings.catch_warnings():
        # torch's newer exporter needs another package, and gains nothing here.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            load_network(checkpoint),
            (torch.zeros(1, 3, side, side),),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=["batch"],
            output_names=["logits"],
            dynamic_axes={"batch": {2: "h", 3: "w"}, "logits": {2: "h", 3: "w"}},
        )
    return onnx.load_model_from_string(file.getvalue())
