"""ONNX graphs written as expressions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Operand = str | int | float | np.ndarray


class Graph:
    """Collects nodes; each operator is a method that returns the name of its result.

    Operands are names, or constants: whole numbers are int64, fractions float64.

    >>> graph = Graph()
    >>> total = graph.Add("a", graph.Mul("b", 2))
    >>> [node.op_type for node in graph.nodes]
    ['Mul', 'Add']
    """

    def __init__(self, numbers: Callable[[], int] | None = None) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        # Shared with the bodies of loops: what they compute must not hide what is outside.
        self._number = numbers or count().__next__

    def __getattr__(self, operator: str) -> Callable[..., str]:
        def add(*operands: Operand, name: str | None = None, **attributes) -> str:
            output = name or f"{operator}:{self._number()}"
            inputs = [self._name(operand) for operand in operands]
            self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
            return output

        return add

    def split(self, values: str, parts: int, axis: int = 0) -> list[str]:
        """Equal parts of a tensor along an axis."""
        outputs = [f"Split:{self._number()}" for _ in range(parts)]
        self.nodes.append(
            helper.make_node("Split", [values], outputs, axis=axis, num_outputs=parts)
        )
        return outputs

    def loop(
        self, times: str, start: str, body: Callable[[Graph, str, str], str], type_: int
    ) -> str:
        """`value = body(graph, number, value)`, repeated.

        Args:
            times: int64, how often; `number` counts from 0.
            start: the first value; type_: its `TensorProto` type.
        """
        inner = Graph(self._number)
        number, go, value = (f"loop:{self._number()}" for _ in range(3))
        outputs = [inner.Identity(go), body(inner, number, value)]
        graph = helper.make_graph(
            inner.nodes,
            "body",
            [
                helper.make_tensor_value_info(number, TensorProto.INT64, []),
                helper.make_tensor_value_info(go, TensorProto.BOOL, []),
                helper.make_tensor_value_info(value, type_, None),
            ],
            [
                helper.make_tensor_value_info(outputs[0], TensorProto.BOOL, []),
                helper.make_tensor_value_info(outputs[1], type_, None),
            ],
            inner.constants,
        )
        return self.Loop(times, np.array(True), start, body=graph)

    def _name(self, operand: Operand) -> str:
        if isinstance(operand, str):
            return operand
        name = f"constant:{self._number()}"
        self.constants.append(numpy_helper.from_array(np.asarray(operand), name))
        return name
