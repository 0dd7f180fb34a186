"""What the simulated TensorRT knows of an ONNX file: its tensors, and the layers that an engine of it would tell of.

Layers are fused as NVIDIA's Engine Explorer shows it in its samples of a quantised ResNet: weights, their quantisation,
the convolution and its ReLU are one; a convolution whose input and weights are dequantised computes in INT8; a
QuantizeLinear behind a convolution is a part of it, any other is a Reformat.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import onnx

# By TensorProto's names: TensorRT's DataType, the word in 8.x's long format, the word of 10 and 11.
TYPES = {
    "FLOAT": ("FLOAT", "FP32", "Float"),
    "FLOAT16": ("HALF", "FP16", "Half"),
    "INT8": ("INT8", "Int8", "Int8"),
    "UINT8": ("UINT8", "UInt8", "UInt8"),
    "INT32": ("INT32", "Int32", "Int32"),
    "INT64": ("INT64", "Int64", "Int64"),
    "BOOL": ("BOOL", "BOOL", "Bool"),
}

DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class Tensor:
    name: str
    dtype: str  # by TensorProto's names
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layer:
    """One layer of an engine."""

    name: str
    kind: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    nodes: tuple[str, ...]  # of the ONNX file
    weights: Tensor | None = None


@dataclass(frozen=True)
class Graph:
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    opset: int
    foreign: tuple[str, ...]  # operators that no importer knows

    @property
    def dtypes(self) -> set[str]:
        return {tensor.dtype for layer in self.layers for tensor in layer.inputs + layer.outputs}


def graph_of(content: bytes) -> Graph:
    """Raises whatever onnx raises where the bytes are no ONNX file."""
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(content))
    if not model.graph.node:
        raise ValueError("no nodes")
    opset = next((entry.version for entry in model.opset_import if entry.domain in DOMAINS), 0)
    reader = _Reader(model.graph)
    foreign = tuple(node.op_type for node in model.graph.node if node.domain not in DOMAINS)
    return Graph(
        reader.tensors_of(model.graph.input), reader.tensors_of(model.graph.output), reader.layers(), opset, foreign
    )


class _Reader:
    """Walks a graph once."""

    def __init__(self, graph: Any) -> None:
        self._nodes = list(graph.node)
        self._weights = {weight.name: weight for weight in graph.initializer}
        self._makers = {name: node for node in self._nodes for name in node.output}
        values = [*graph.input, *graph.output, *graph.value_info]
        self._tensors = {value.name: _tensor(value) for value in values}
        for weight in graph.initializer:
            kind = onnx.TensorProto.DataType.Name(weight.data_type)
            self._tensors[weight.name] = Tensor(weight.name, kind, tuple(weight.dims))

    def tensors_of(self, values: Any) -> tuple[Tensor, ...]:
        return tuple(self._tensors[value.name] for value in values if value.name not in self._weights)

    def layers(self) -> tuple[Layer, ...]:
        made, fused = [], set()
        for node in self._nodes:
            if node.output[0] in fused or self._is_of_weights(node) or node.op_type in ("DequantizeLinear", "Constant"):
                continue
            chain = self._chain(node)
            fused |= {name for link in chain for name in link.output}
            made.append(self._layer(chain))
        return tuple(made)

    def _is_of_weights(self, node: Any) -> bool:
        """Whether a node only turns constants into constants, and so vanishes in the build."""
        return all(name in self._weights or self._is_constant(name) for name in node.input if name)

    def _is_constant(self, name: str) -> bool:
        maker = self._makers.get(name)
        return maker is not None and (maker.op_type == "Constant" or self._is_of_weights(maker))

    def _chain(self, node: Any) -> list[Any]:
        """A convolution with the ReLU and the QuantizeLinear behind it; of any other node, itself."""
        chain = [node]
        while node.op_type in ("Conv", "Relu") and chain[0].op_type == "Conv":
            users = [user for user in self._nodes if node.output[0] in user.input]
            if len(users) != 1 or users[0].op_type not in ("Relu", "QuantizeLinear"):
                break
            node = users[0]
            chain.append(node)
        return chain

    def _layer(self, chain: list[Any]) -> Layer:
        first, last = chain[0], chain[-1]
        is_conv = first.op_type == "Conv"
        inputs = [self._before_dequantising(name) for name in first.input if name and not self._is_fixed(name)]
        weights = self._before_dequantising(first.input[1]) if is_conv else None
        kind = "CaskConvolution" if is_conv else "Reformat" if first.op_type == "QuantizeLinear" else first.op_type
        nodes = tuple(node.name for node in chain)
        name = " + ".join([*([weights.name] if weights else []), *nodes])
        outputs = tuple(self._of(name) for name in last.output if name)
        return Layer(name, kind, tuple(inputs), outputs, nodes, weights)

    def _is_fixed(self, name: str) -> bool:
        return name in self._weights or self._is_constant(name)

    def _before_dequantising(self, name: str) -> Tensor:
        maker = self._makers.get(name)
        return self._of(maker.input[0] if maker is not None and maker.op_type == "DequantizeLinear" else name)

    def _of(self, name: str) -> Tensor:
        return self._tensors.get(name) or Tensor(name, "FLOAT", ())


def _tensor(value: Any) -> Tensor:
    kind = value.type.tensor_type
    shape = tuple(side.dim_value for side in kind.shape.dim)
    return Tensor(value.name, onnx.TensorProto.DataType.Name(kind.elem_type), shape)


def engine_information(graph: Graph, verbosity: str, major: int) -> str:
    """The JSON of the engine inspector in the form of that major version.

    8.x: samples of the Engine Explorer (tools/experimental/trt-engine-explorer in NVIDIA/TensorRT). 10.x: the short
    words of its list of formats. 11.x: NVIDIA's page "Migrating IEngineInspector Usage from TensorRT 10.x to 11.x".
    """
    layers = [_layer_information(layer, verbosity, major) for layer in graph.layers]
    ends = [*graph.inputs, *graph.outputs]
    if major < 11:
        return json.dumps({"Layers": layers, "Bindings": [tensor.name for tensor in ends]})
    modes = ["Input"] * len(graph.inputs) + ["Output"] * len(graph.outputs)
    return json.dumps({"Layers": layers, "I/O Tensors": list(map(_io_tensor, ends, modes))})


def _layer_information(layer: Layer, verbosity: str, major: int) -> Any:
    if verbosity != "DETAILED":
        return layer.name
    told: dict[str, Any] = {"Name": layer.name, "LayerType": layer.kind}
    told["Inputs"] = [_tensor_information(tensor, major) for tensor in layer.inputs]
    told["Outputs"] = [_tensor_information(tensor, major) for tensor in layer.outputs]
    if layer.weights is not None:
        count = 1
        for side in layer.weights.shape:
            count *= side
        told |= {"ParameterType": "Convolution", "Weights": {"Type": TYPES[layer.weights.dtype][2], "Count": count}}
    metadata = "\x1e".join(f"[ONNX Layer: {node}]" for node in layer.nodes)
    return {**told, "TacticValue": "0x0000000000000000", **({"Metadata": metadata} if major >= 10 else {})}


def _tensor_information(tensor: Tensor, major: int) -> dict[str, Any]:
    told = {"Name": tensor.name, "Location": "Device", "Dimensions": list(tensor.shape)}
    _, long, short = TYPES[tensor.dtype]
    if major >= 11:
        return {**told, "Format": f"Row major linear {long} format (kLINEAR)", "Datatype": short}
    wide = f"Thirty-two wide channel vectorized row major {long} format"
    form = wide if tensor.dtype == "INT8" else f"Row major linear {long}"
    return {**told, "Format/Datatype": form if major < 10 else short}


def _io_tensor(tensor: Tensor, mode: str) -> dict[str, Any]:
    told = {"Name": tensor.name, "IOMode": mode, "DataType": TYPES[tensor.dtype][2], "Dimensions": list(tensor.shape)}
    return {**told, "Location": "Device", "IsShapeInferenceIO": False, "ProfileInfo": []}
