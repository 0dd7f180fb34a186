"""What a frame costs, read out of an exported ONNX file: operations and bytes of each stage of its network.

An operation is a multiplication or an addition. A convolution's taps on padding count, as everywhere, and are told of,
for an engine may leave them out. Bytes are the least that a layer must move: its input, its weights and its output
once, one byte each where it is quantised. What is done to numbers on their way (bias, ReLU, rounding) is free.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import onnx
from onnx import shape_inference

INPUT = "input"  # what comes before the first convolution
STAGES = {
    "conv1": "block 1",
    "conv2": "block 2",
    "conv3": "block 3",
    "conv4": "block 4",
    "conv5": "block 5",
    "fc": "fc6, fc7",
    "score": "scores",
    "upscore2": "scores",
    "upscore_pool": "scores",
    "upscore8": "upsampling, argmax",
    "upscore4": "upsampling, argmax",
}
CONVOLUTIONS = ("Conv", "ConvTranspose")
MOVERS = (*CONVOLUTIONS, "MaxPool", "ArgMax")


@dataclass(frozen=True)
class Work:
    """Of a stage or of all of them."""

    int8_operations: float = 0.0
    float_operations: float = 0.0
    padding_operations: float = 0.0  # of either, those that multiply zeros around the map
    bytes_moved: float = 0.0

    @property
    def operations(self) -> float:
        return self.int8_operations + self.float_operations

    def __add__(self, other: Work) -> Work:
        return Work(
            self.int8_operations + other.int8_operations,
            self.float_operations + other.float_operations,
            self.padding_operations + other.padding_operations,
            self.bytes_moved + other.bytes_moved,
        )


class Graph:
    """An exported graph with the shape of every tensor."""

    def __init__(self, path: Path) -> None:
        graph = shape_inference.infer_shapes(onnx.load(path)).graph
        self.nodes = list(graph.node)
        self._shapes: dict[str, list[int]] = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
        for info in (*graph.input, *graph.value_info, *graph.output):
            self._shapes[info.name] = [side.dim_value for side in info.type.tensor_type.shape.dim]
        self._maker = {tensor: node for node in self.nodes for tensor in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for tensor in node.input:
                self._readers.setdefault(tensor, []).append(node)

    def work(self) -> dict[str, Work]:
        """stage -> its work, in the graph's order; `INPUT` has none that counts."""
        found = {INPUT: Work()}
        for node, stage in self._staged():
            found[stage] = found.get(stage, Work()) + self._work_of(node)
        return found

    def stage_of(self) -> Mapping[str, str]:
        """The name of every node and of every tensor that a node makes -> its stage."""
        return {name: stage for node, stage in self._staged() for name in (node.name, *node.output)}

    def _staged(self) -> Iterator[tuple[onnx.NodeProto, str]]:
        """A node belongs to the last convolution before it."""
        stage = INPUT
        for node in self.nodes:
            if node.op_type in CONVOLUTIONS:
                stage = next(told for prefix, told in STAGES.items() if node.name.startswith(prefix))
            yield node, stage

    def _work_of(self, node: onnx.NodeProto) -> Work:
        if node.op_type not in MOVERS:
            return Work()
        read = sum(self._size(tensor) * self._stored_bytes(tensor) for tensor in node.input[:2])
        moved = read + self._size(node.output[0]) * self._written_bytes(node.output[0])
        if node.op_type not in CONVOLUTIONS:
            return Work(bytes_moved=moved)
        # Every weight is used once for each place of the output, or of the input where the convolution is transposed.
        places = self._shapes[node.output[0] if node.op_type == "Conv" else node.input[0]]
        operations = 2.0 * self._size(node.input[1]) * places[0] * prod(places[2:])
        padding = operations * self._share_on_padding(node)
        if all(self._is_quantised(tensor) for tensor in node.input[:2]):
            return Work(operations, 0.0, padding, moved)
        return Work(0.0, operations, padding, moved)

    def _share_on_padding(self, node: onnx.NodeProto) -> float:
        """Of a convolution's taps; those of a transposed one are not looked at."""
        if node.op_type != "Conv":
            return 0.0
        entry, kernel, out = (self._shapes[name][2:] for name in (*node.input[:2], node.output[0]))
        numbers = {attribute.name: list(attribute.ints) for attribute in node.attribute}
        before, strides = numbers.get("pads", [0, 0]), numbers.get("strides", [1, 1])
        sides = zip(entry, kernel, out, strides, before[:2], strict=True)
        return 1 - prod(_share_inside(*side) for side in sides)

    def _size(self, tensor: str) -> int:
        return prod(self._shapes[tensor])

    def _is_quantised(self, tensor: str) -> bool:
        return tensor in self._maker and self._maker[tensor].op_type == "DequantizeLinear"

    def _stored_bytes(self, tensor: str) -> int:
        return 1 if self._is_quantised(tensor) else 4

    def _written_bytes(self, tensor: str) -> int:
        """A byte where nothing but a ReLU stands between a layer and the rounding of its output."""
        readers = self._readers.get(tensor, [])
        if [reader.op_type for reader in readers] == ["Relu"]:
            readers = self._readers.get(readers[0].output[0], [])
        return 1 if readers and all(reader.op_type == "QuantizeLinear" for reader in readers) else 4


def _share_inside(entry: int, kernel: int, out: int, stride: int, before: int) -> float:
    """Of the taps along one side: those that fall on the map and not before or behind it."""
    starts = [place * stride - before for place in range(out)]
    inside = sum(max(0, min(start + kernel, entry) - max(start, 0)) for start in starts)
    return inside / (out * kernel)
