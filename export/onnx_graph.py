"""An ONNX graph as rules read it: nodes that have a name, who makes and who reads each tensor, its type, its constant.

Made to be read, never written; it holds whatever is in the file, however odd.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

OUR_DOMAINS = ("", "ai.onnx")  # two names of ONNX's own domain
LARGE = 4096  # bytes; inference reads shapes, which are shorter


@dataclass(frozen=True)
class Finding:
    """One breach: which node or tensor, which rule, what is there and what would mend it."""

    node: str
    rule: str
    found: str
    fix: str

    def to_json(self) -> dict[str, str]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. `op` carries the domain unless it is ONNX's own."""

    name: str
    op: str
    domain: str
    inputs: tuple[str, ...]  # "" where an optional one is left out
    outputs: tuple[str, ...]
    attributes: Mapping[str, onnx.AttributeProto]

    def integer(self, attribute: str, default: int) -> int:
        return int(self.attributes[attribute].i) if attribute in self.attributes else default

    def text(self, attribute: str, default: str) -> str:
        return self.attributes[attribute].s.decode(errors="replace") if attribute in self.attributes else default

    def input(self, index: int) -> str:
        return self.inputs[index] if index < len(self.inputs) else ""


@dataclass(frozen=True)
class Graph:
    """A whole model, by name of node and tensor."""

    model: onnx.ModelProto
    nodes: Sequence[Node]
    inputs: Sequence[onnx.ValueInfoProto]  # what a caller feeds: no constants
    outputs: Sequence[onnx.ValueInfoProto]
    constants: Mapping[str, onnx.TensorProto]
    types: Mapping[str, int]  # tensor -> TensorProto.DataType; unknown ones are missing
    makers: Mapping[str, Node]
    readers: Mapping[str, Sequence[Node]]

    @property
    def input_names(self) -> set[str]:
        return {value.name for value in self.inputs}

    @property
    def output_names(self) -> set[str]:
        return {value.name for value in self.outputs}

    def of(self, *operations: str) -> Iterator[Node]:
        return (node for node in self.nodes if node.op in operations)

    def maker(self, tensor: str, operation: str) -> Node | None:
        """The node that makes a tensor, if it is of this operation."""
        node = self.makers.get(tensor)
        return node if node and node.op == operation else None

    def value(self, tensor: str) -> NDArray[Any] | None:
        """The numbers of a constant; None where there is none, or none in this file."""
        constant = self.constants.get(tensor)
        if constant is None or constant.data_location == TensorProto.EXTERNAL:
            return None
        try:
            return np.asarray(numpy_helper.to_array(constant))
        except (ValueError, TypeError, KeyError, AttributeError):  # a type that nobody knows, or too few bytes
            return None


def graph_from_model(model: onnx.ModelProto) -> Graph:
    nodes = [_node(number, proto) for number, proto in enumerate(model.graph.node)]
    constants = {constant.name: constant for constant in model.graph.initializer}
    constants |= {node.outputs[0]: value for node in nodes for value in _constant_of(node)}
    readers: dict[str, list[Node]] = {}
    for node in nodes:
        for tensor in dict.fromkeys(filter(None, node.inputs)):
            readers.setdefault(tensor, []).append(node)
    inputs = [value for value in model.graph.input if value.name not in constants]
    makers = {tensor: node for node in nodes for tensor in node.outputs}
    types = _types(model) | {name: constant.data_type for name, constant in constants.items()}
    return Graph(model, nodes, inputs, list(model.graph.output), constants, types, makers, readers)


def type_name(data_type: int) -> str:
    """As ONNX says it: float, float16, uint8."""
    known: dict[int, str] = {number: name for name, number in TensorProto.DataType.items()}
    return known.get(data_type, f"type {data_type}").lower()


def _node(number: int, proto: onnx.NodeProto) -> Node:
    foreign = proto.domain not in OUR_DOMAINS
    op = f"{proto.domain}.{proto.op_type}" if foreign else str(proto.op_type)
    attributes = {attribute.name: attribute for attribute in proto.attribute}
    name = proto.name or f"node {number} ({op})"
    return Node(name, op, proto.domain if foreign else "", tuple(proto.input), tuple(proto.output), attributes)


def _constant_of(node: Node) -> Iterator[onnx.TensorProto]:
    if node.op != "Constant" or not node.outputs:
        return
    if "value" in node.attributes:
        yield node.attributes["value"].t
    for name, of_type in (("value_float", np.float32), ("value_int", np.int64)):
        if name in node.attributes:
            attribute = node.attributes[name]
            yield numpy_helper.from_array(np.asarray(attribute.f if of_type is np.float32 else attribute.i, of_type))
        if f"{name}s" in node.attributes:
            many = node.attributes[f"{name}s"]
            yield numpy_helper.from_array(np.asarray(many.floats if of_type is np.float32 else many.ints, of_type))


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Types as declared and inferred; of what cannot be inferred, as declared."""
    try:
        graph = onnx.shape_inference.infer_shapes(_without_weights(model), strict_mode=False).graph
    except Exception:  # of several libraries, on graphs that break rules which are not ours to check
        graph = model.graph
    values = [*graph.value_info, *graph.input, *graph.output]
    return {value.name: value.type.tensor_type.elem_type for value in values if value.type.tensor_type.elem_type}


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy for inference, which copies several times: half a gigabyte of weights tells no type."""
    light = onnx.ModelProto()
    light.CopyFrom(model)
    for constant in light.graph.initializer:
        if len(constant.raw_data) > LARGE:
            constant.ClearField("raw_data")
    return light
