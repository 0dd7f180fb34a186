"""What TensorRT asks of QuantizeLinear ("Q") and DequantizeLinear ("DQ"), from 8.5 to 11.4 at once.

"The importer" is onnx-tensorrt's QuantDequantLinearHelper, which differs between 8.5 and 10.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from onnx import TensorProto

from export.onnx_graph import Finding, Graph, Node, type_name

Q, DQ = "QuantizeLinear", "DequantizeLinear"

# Operations on integers themselves ("operator-oriented").
OPERATOR_ORIENTED = frozenset(["QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"])


def no_operation_on_integers(graph: Graph) -> Iterator[Finding]:
    """No TensorRT reads them: quantisation is told by Q/DQ pairs around float operations."""
    for node in graph.of(*OPERATOR_ORIENTED):
        yield Finding(node.name, "operator-oriented", node.op, "quantise with quant_format=QDQ")


def biases_are_float(graph: Graph) -> Iterator[Finding]:
    """DQ takes no int32 in any version, and a convolution adds its bias in float."""
    for node in graph.of(DQ):
        readers = (reader for tensor in node.outputs for reader in graph.readers.get(tensor, ()))
        is_bias = any(reader.op in ("Conv", "Gemm") and reader.input(2) in node.outputs for reader in readers)
        stored = graph.types.get(node.input(0))
        if is_bias or stored == TensorProto.INT32:
            found = "a quantised bias" if is_bias else f"{type_name(stored or 0)} dequantised"
            yield Finding(node.name, "bias", found, "leave it float (QuantizeBias=False)")


def zero_points_are_zero(graph: Graph) -> Iterator[Finding]:
    """Quantisation is symmetric and int8. 8.5 and 8.6 demand the third input, and as many zeros as scales."""
    for node in graph.of(Q, DQ):
        found = None if graph.types.get(node.input(0)) == TensorProto.INT32 else _wrong_zero_point(graph, node)
        if found:
            yield Finding(node.name, "zero-point", found, "quantise to symmetric int8 with constant zeros")


def _wrong_zero_point(graph: Graph, node: Node) -> str | None:
    if not node.input(2):
        return "no zero point"
    stored = graph.types.get(node.input(2))
    if stored is not None and stored != TensorProto.INT8:
        return f"quantised to {type_name(stored)}"
    zeros, scale = graph.value(node.input(2)), graph.value(node.input(1))
    if zeros is None:
        return "a zero point that is no constant"
    if np.any(zeros):
        return "a zero point other than 0"
    if scale is not None and zeros.size != scale.size:
        return f"{zeros.size} zero points for {scale.size} scales"
    return None


def scales_are_positive_floats(graph: Graph) -> Iterator[Finding]:
    """The importer of 8.5 reads a constant's bytes as float32 whatever they are, and demands > 0."""
    for node in graph.of(Q, DQ):
        scale, stored = graph.value(node.input(1)), graph.types.get(node.input(1))
        if stored is not None and stored != TensorProto.FLOAT:
            yield Finding(node.name, "scale", f"a scale of {type_name(stored)}", "store scales as float32")
        elif scale is None:
            yield Finding(node.name, "scale", "a scale that is no constant", "fold the scale into a constant")
        elif not scale.size or not np.all(np.isfinite(scale) & (scale > 0)):
            yield Finding(node.name, "scale", "a scale that is not above 0", "calibrate again")


def scales_have_their_shape(graph: Graph) -> Iterator[Finding]:
    """One scale for an activation; for weights one, or one per output channel (Conv: axis 0, said outright).

    Where the axis is left out, 8.5 takes 0 and 10 takes ONNX's 1.
    """
    for node in graph.of(Q, DQ):
        scale = graph.value(node.input(1))
        found = _wrong_axis(graph, node, scale.shape) if scale is not None and scale.size > 1 else None
        if found:
            yield Finding(node.name, "scale-shape", found, "one scale per tensor, or per output channel of weights")


def _wrong_axis(graph: Graph, node: Node, shape: tuple[int, ...]) -> str | None:
    weight = _weight_of(graph, node)
    if weight is None:
        return f"an activation with {np.prod(shape)} scales"
    sides = list(graph.constants[weight].dims)
    axis = node.integer("axis", 1)
    axis += len(sides) if axis < 0 else 0
    if axis != 0 and _feeds_convolution(graph, node):
        return f"a convolution's weights scaled along axis {axis}"
    if list(shape) != sides[axis : axis + 1]:
        return f"scales of shape {shape} for weights of shape {tuple(sides)}"
    return None


def _weight_of(graph: Graph, node: Node) -> str | None:
    """The constant that a Q, or a DQ with or without its Q, works on; None for an activation."""
    pair = graph.maker(node.input(0), Q) if node.op == DQ else None
    tensor = (pair or node).input(0)
    return tensor if tensor in graph.constants else None


def _feeds_convolution(graph: Graph, node: Node) -> bool:
    ends = [node] if node.op == DQ else [end for tensor in node.outputs for end in graph.readers.get(tensor, ())]
    return any(
        reader.op == "Conv" for end in ends for tensor in end.outputs for reader in graph.readers.get(tensor, ())
    )


def pairs_are_whole(graph: Graph) -> Iterator[Finding]:
    """Q and DQ stand together and scale alike: int8 between layers is for TensorRT to choose, not for the graph."""
    for node in graph.of(Q):
        readers = [reader for tensor in node.outputs for reader in graph.readers.get(tensor, ())]
        if not readers or any(reader.op != DQ for reader in readers) or graph.output_names & set(node.outputs):
            yield Finding(node.name, "pair", "no DequantizeLinear right after it", "put a pair, with equal scales")
    for node in graph.of(DQ):
        maker = graph.maker(node.input(0), Q)
        if maker is None and node.input(0) not in graph.constants:
            yield Finding(node.name, "pair", "no QuantizeLinear right before it", "put a pair, with equal scales")
        elif maker and not _scale_alike(graph, maker, node):
            yield Finding(node.name, "pair", f"not the scale of {maker.name}", "put a pair, with equal scales")


def _scale_alike(graph: Graph, one: Node, other: Node) -> bool:
    left, right = graph.value(one.input(1)), graph.value(other.input(1))
    return one.input(1) == other.input(1) or left is None or right is None or np.array_equal(left, right)


def convolutions_are_quantised_whole(graph: Graph) -> Iterator[Finding]:
    """Of an int8 convolution TensorRT wants both inputs through DQ; with one it computes in float, and slower."""
    for node in graph.of("Conv"):
        makers = [graph.maker(node.input(index), DQ) for index in (0, 1)]
        if makers[0] is None and makers[1] is not None:
            yield Finding(node.name, "half-quantised", "weights quantised, its input not", "quantise both or neither")
        elif makers[1] is None and makers[0] is not None:
            yield Finding(node.name, "half-quantised", "its input quantised, weights not", "quantise both or neither")
        elif makers[1] is not None and _weight_of(graph, makers[1]) is None:
            yield Finding(node.name, "half-quantised", "quantised weights that are no constant", "fold the weights")


def weights_are_stored_as_float(graph: Graph) -> Iterator[Finding]:
    """8.x reads no int8 constant but a zero point: weights are float32, Q, DQ, and quantised as the engine is built.

    Stored as int8 with a DQ alone they are read since 10 ("invalid weights type of Int8" before; onnxruntime #11535).
    """
    for node in graph.of(DQ):
        if node.input(0) in graph.constants and graph.types[node.input(0)] == TensorProto.INT8:
            fix = "store float32 and put a QuantizeLinear before it (AddQDQPairToWeight=True)"
            yield Finding(node.name, "int8-weights", "weights stored as int8, read since TensorRT 10 only", fix)


def no_pair_before_relu(graph: Graph) -> Iterator[Finding]:
    """Convolution, bias, ReLU and the next Q become one kernel; a pair in between keeps them apart in every version."""
    for node in graph.of("Relu", "Clip"):
        end = graph.maker(node.input(0), DQ)
        pair = end and graph.maker(end.input(0), Q)
        convolution = pair and graph.maker(pair.input(0), "Conv")
        if pair and convolution:
            found = f"a pair between {convolution.name} and {node.name}"
            yield Finding(pair.name, "relu", found, "quantise after the ReLU (OpTypesToExcludeOutputQuantization)")


def deconvolutions_are_float(graph: Graph) -> Iterator[Finding]:
    """8.x scales a ConvTranspose along input channels, ONNX along output channels; 10's table has no int8 for it."""
    for node in graph.of("ConvTranspose"):
        if any(graph.maker(tensor, DQ) for tensor in node.inputs):
            yield Finding(node.name, "conv-transpose", "a quantised ConvTranspose", "leave it float")


QUANTISATION_RULES = (
    no_operation_on_integers,
    biases_are_float,
    zero_points_are_zero,
    scales_are_positive_floats,
    scales_have_their_shape,
    pairs_are_whole,
    convolutions_are_quantised_whole,
    weights_are_stored_as_float,
    no_pair_before_relu,
    deconvolutions_are_float,
)
