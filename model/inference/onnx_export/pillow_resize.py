"""Pillow's resize in ONNX, to the bit: uint8 pictures, bilinear, `reducing_gap=3`.

ONNX's own `Resize` antialiases too, but with float32 weights and without a reducing gap:
pixels would differ by some levels, and labels with them. This follows Pillow's C code
(libImaging/Reduce.c and Resample.c) step by step.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from model.inference.onnx_export.graph import Graph

UINT8, INT32, INT64 = TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64
FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE

REDUCING_GAP = 3.0
WEIGHT_BITS = 22
"""Weights are whole numbers, 2^22 being 1."""


def resize(graph: Graph, planes: str, from_hw: str, to_hw: str) -> str:
    """Scales uint8 (3, H, W) to uint8 (3, h, w).

    Args: from_hw, to_hw: int64 (2,), H and W, h and w.
    """
    size = graph.Cast(from_hw, to=DOUBLE)
    ratio = graph.Div(graph.Div(size, graph.Cast(to_hw, to=DOUBLE)), REDUCING_GAP)
    factors = graph.Max(graph.Cast(ratio, to=INT64), 1)
    reduced = _reduce(graph, planes, from_hw, factors)
    # What the picture covers of the reduced one, whose last row and column may be partial; C's
    # float.
    box = graph.Div(size, graph.Cast(factors, to=DOUBLE))
    box = graph.Cast(graph.Cast(box, to=FLOAT), to=DOUBLE)
    (box_height, box_width), (height, width) = graph.split(box, 2), graph.split(to_hw, 2)
    rows = _resample(graph, reduced, 2, box_width, width)
    return _resample(graph, rows, 1, box_height, height)


def _reduce(graph: Graph, planes: str, size_hw: str, factors: str) -> str:
    """Means of cells of `factors` pixels, fewer at the right and lower border."""
    reduced_hw = graph.Div(graph.Sub(graph.Add(size_hw, factors), 1), factors)
    padded_hw = graph.Mul(reduced_hw, factors)
    margin = graph.Concat([0, 0, 0, 0], graph.Sub(padded_hw, size_hw), axis=0)
    padded = graph.Pad(planes, margin)
    across = graph.split(factors, 2)[1]

    def add(body: Graph, number: str, total: str) -> str:
        """One pixel of each cell."""
        start = body.Concat(body.Div(number, across), body.Mod(number, across), axis=0)
        part = body.Slice(padded, start, padded_hw, np.array([1, 2]), factors)
        return body.Add(total, body.Cast(part, to=INT32))

    shape = graph.Concat(np.array([3]), reduced_hw, axis=0)
    nothing = graph.Expand(np.array(0, np.int32), shape)
    total = graph.loop(graph.ReduceProd(factors, keepdims=0), nothing, add, INT32)
    heights, widths = (
        _cells(graph, *sides)
        for sides in zip(*(graph.split(x, 2) for x in (size_hw, reduced_hw, factors)), strict=True)
    )
    pixels = graph.Mul(graph.Unsqueeze(heights, np.array([1])), widths)
    # Divided by multiplying, with a reciprocal of 24 bits.
    wide = graph.Cast(graph.Mul(pixels, 256), to=FLOAT)
    reciprocal = graph.Cast(graph.Div(np.float32(2**32), wide), to=INT64)
    rounded = graph.Add(graph.Cast(total, to=INT64), graph.Div(pixels, 2))
    return graph.Cast(graph.Div(graph.Mul(rounded, reciprocal), 2**24), to=UINT8)


def _cells(graph: Graph, size: str, cells: str, factor: str) -> str:
    """How many pixels of a row or column each cell has, int64 (cells,)."""
    starts = graph.Mul(graph.Range(0, graph.Squeeze(cells), 1), factor)
    return graph.Min(graph.Sub(size, starts), factor)


def _resample(graph: Graph, planes: str, axis: int, box: str, size: str) -> str:
    """Scales one axis of uint8 (3, ., .).

    Args:
        box: float64 (1,), how much of the axis to take; size: int64 (1,), what it becomes.
    """
    available = graph.Shape(planes, start=axis, end=axis + 1)
    scale = graph.Div(box, graph.Cast(size, to=DOUBLE))
    support = graph.Max(scale, 1.0)
    place = graph.Cast(graph.Range(0, graph.Squeeze(size), 1), to=DOUBLE)
    centre = graph.Mul(graph.Add(place, 0.5), scale)
    first = graph.Cast(graph.Add(graph.Sub(centre, support), 0.5), to=INT64)
    first = graph.Max(first, 0)
    taps = graph.Add(graph.Mul(graph.Cast(graph.Ceil(support), to=INT64), 2), 1)
    taps = graph.Squeeze(taps)
    # (taps, size): the pixels that each result comes from, and their weights, a triangle's.
    source = graph.Add(graph.Unsqueeze(graph.Range(0, taps, 1), np.array([1])), first)
    distance = graph.Add(graph.Sub(graph.Cast(source, to=DOUBLE), centre), 0.5)
    distance = graph.Abs(graph.Mul(distance, graph.Div(1.0, support)))
    weight = graph.Max(graph.Sub(1.0, distance), 0.0)
    weight = graph.Where(graph.Less(source, available), weight, 0.0)
    weight = graph.Div(weight, graph.ReduceSum(weight, np.array([0])))
    weight = graph.Add(graph.Mul(weight, float(2**WEIGHT_BITS)), 0.5)
    weight = graph.Cast(graph.Floor(weight), to=INT32)
    source = graph.Min(source, graph.Sub(available, 1))

    def add(body: Graph, number: str, total: str) -> str:
        pixels = body.Gather(planes, body.Gather(source, number), axis=axis)
        factor = body.Gather(weight, number)
        if axis == 1:
            factor = body.Unsqueeze(factor, np.array([1]))
        return body.Add(total, body.Mul(body.Cast(pixels, to=INT32), factor))

    other = graph.Shape(planes, start=3 - axis, end=4 - axis)
    shape = [np.array([3]), other, size] if axis == 2 else [np.array([3]), size, other]
    half = graph.Expand(np.array(2 ** (WEIGHT_BITS - 1), np.int32), graph.Concat(*shape, axis=0))
    total = graph.loop(taps, half, add, INT32)
    return graph.Cast(graph.Div(total, np.int32(2**WEIGHT_BITS)), to=UINT8)
