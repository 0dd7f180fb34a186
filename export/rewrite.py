"""Writing a changed copy of an ONNX graph, node by node: constants are stored once, dead nodes are left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


def initializers(graph: onnx.GraphProto) -> dict[str, NDArray[Any]]:
    """The constants of a graph by name."""
    return {initializer.name: numpy_helper.to_array(initializer) for initializer in graph.initializer}


def consumers_of(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """tensor -> the nodes that read it."""
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for tensor in node.input:
            readers[tensor].append(node)
    return readers


class Rewriter:
    """Nodes in, in their order; a changed model out."""

    def __init__(self, source: onnx.ModelProto) -> None:
        self.source = source
        self.nodes: list[onnx.NodeProto] = []
        self.constants = {initializer.name: initializer for initializer in source.graph.initializer}
        self.renamed: dict[str, str] = {}

    def rename(self, tensor: str, name: str) -> None:
        """Whatever is copied from now on reads `name` where it read `tensor`."""
        self.renamed[tensor] = name

    def copy(self, node: onnx.NodeProto, inputs: Iterable[str] | None = None) -> onnx.NodeProto:
        """Append a copy of a node, its inputs renamed or given."""
        copied = onnx.NodeProto()
        copied.CopyFrom(node)
        copied.input[:] = [self.renamed.get(name, name) for name in node.input] if inputs is None else inputs
        self.nodes.append(copied)
        return copied

    def add(self, operation: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        """Append a new node of one output, named after it; the output."""
        self.nodes.append(helper.make_node(operation, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: Any) -> str:
        """Store an array (or number with a type); its name."""
        self.constants[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def model(self) -> onnx.ModelProto:
        """The whole, without what nobody reads and without the old types of tensors."""
        outputs = list(self.source.graph.output)
        used = {output.name for output in outputs}
        nodes: list[onnx.NodeProto] = []
        for node in reversed(self.nodes):
            if used.intersection(node.output):
                nodes.insert(0, node)
                used.update(node.input)
        constants = [constant for name, constant in self.constants.items() if name in used]
        graph = helper.make_graph(nodes, self.source.graph.name, list(self.source.graph.input), outputs, constants)
        return helper.make_model(graph, opset_imports=list(self.source.opset_import), ir_version=self.source.ir_version)
