"""What TensorRT asks of an ONNX graph, from 8.5 to 11.4 at once, so that one file builds on every device.

It reads the graph and runs nothing. What a rule stands on is in its docstring; "the importer" is onnx-tensorrt's source
(release/8.5-GA and 10.x), "the table" its docs/operators.md. Rules of quantised graphs are in `quantisation_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import onnx
from onnx import TensorProto

from export.onnx_graph import OUR_DOMAINS, Finding, Graph, Node, graph_from_model, type_name
from export.quantisation_rules import OPERATOR_ORIENTED, QUANTISATION_RULES

__all__ = ["Finding", "check_graph"]

OPSETS = range(9, 17 + 1)
NEWEST_IR = 8

# Marked "Y" in the table of 8.5 and in that of 10.15. Left out: control flow, recurrent layers, random numbers and what
# makes as much as the data says.
OPERATORS = frozenset(
    """
    Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool BatchNormalization Cast Ceil Celu Clip Concat
    Constant ConstantOfShape Conv ConvTranspose Cos Cosh CumSum DepthToSpace DequantizeLinear Div Dropout Einsum Elu
    Equal Erf Exp Expand EyeLike Flatten Floor Gather GatherElements GatherND Gemm GlobalAveragePool GlobalLpPool
    GlobalMaxPool Greater GreaterOrEqual GridSample HardSigmoid HardSwish Identity InstanceNormalization IsNaN LRN
    LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization LpPool MatMul Max MaxPool Mean MeanVarianceNormalization
    Min Mod Mul Neg Not OneHot Or PRelu Pad Pow QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum
    ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape Resize RoiAlign
    Round ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign
    SpaceToDepth Split Sqrt Squeeze Sub Sum Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where
    Xor
    """.split()
)

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
# uint8 has a rule of its own. Of int64 8.x makes int32, which is enough for shapes and class ids.
TYPES = (*FLOATS, TensorProto.INT8, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL, TensorProto.UINT8)

# Operations whose inputs must be of one type, of those that a converter to float16 is likely to split.
OF_ONE_TYPE = ("Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Max", "Min", "Concat")


def check_graph(model: onnx.ModelProto) -> list[Finding]:
    """Every breach of TensorRT's rules, rule by rule; none where nothing known keeps it from building."""
    graph = graph_from_model(model)
    return [_printable(finding) for rule in RULES for finding in rule(graph)]


def _printable(finding: Finding) -> Finding:
    """The names of a file are anybody's: they may hold what a terminal would obey."""
    return replace(finding, node=_words(finding.node), found=_words(finding.found))


def _words(text: str | bytes) -> str:
    # protobuf gives bytes where a name is no text
    letters = text.decode(errors="replace") if isinstance(text, bytes) else text
    return "".join(letter if letter.isprintable() else "?" for letter in letters)


def opset_is_read_by_all(graph: Graph) -> Iterator[Finding]:
    """8.5 and 8.6 read opsets up to 17, 10 and 11 from 9 on (the tables' first lines)."""
    versions = [entry.version for entry in graph.model.opset_import if entry.domain in OUR_DOMAINS]
    fix = f"export with opset_version={OPSETS[-1]}"
    if not versions:
        yield Finding("opset_import", "opset", "no opset of ONNX's own operators", fix)
    for version in versions:
        if version not in OPSETS:
            yield Finding("opset_import", "opset", f"opset {version}, not {OPSETS[0]} to {OPSETS[-1]}", fix)


def domains_are_known(graph: Graph) -> Iterator[Finding]:
    """An operation of another domain needs a plugin or a function that no TensorRT brings."""
    for node in graph.nodes:
        if node.domain:
            yield Finding(node.name, "domain", f"{node.op}", "export with ONNX's own operators only")
    used = {node.domain for node in graph.nodes}
    for entry in graph.model.opset_import:
        if entry.domain not in (*OUR_DOMAINS, *used):
            yield Finding(entry.domain, "stray-opset", "an opset that no node uses", "remove it from opset_import")


def ir_version_is_old_enough(graph: Graph) -> Iterator[Finding]:
    """IR 8 is that of opset 17; the readers of its time, onnxruntime's among them, refuse newer files."""
    version = graph.model.ir_version
    if version > NEWEST_IR:
        yield Finding("ir_version", "ir-version", f"IR version {version}", f"set ir_version = {NEWEST_IR}")


def shapes_are_static(graph: Graph) -> Iterator[Finding]:
    """Every version builds a dynamic shape for a range of sizes, slower, and not without being told the range."""
    for value in (*graph.inputs, *graph.outputs):
        kind = value.type.tensor_type
        if not kind.HasField("shape") or any(side.dim_value < 1 for side in kind.shape.dim):
            sides = [str(side.dim_value or side.dim_param or "?") for side in kind.shape.dim]
            found = f"shape ({', '.join(sides)})" if sides else "no shape"
            yield Finding(value.name, "shape", found, "export at one size, without dynamic axes")


def weights_are_inside(graph: Graph) -> Iterator[Finding]:
    """TensorRT itself would read a second file, but a bundle's digest and an upload speak of one."""
    for name, constant in graph.constants.items():
        if constant.data_location == TensorProto.EXTERNAL:
            yield Finding(name, "external-data", "numbers in a second file", "save with external_data=False")


def operators_are_known(graph: Graph) -> Iterator[Finding]:
    """A parser stops at an operator that it does not know, so one file has what both the oldest and newest read."""
    for node in graph.nodes:
        if not node.domain and node.op not in OPERATORS | OPERATOR_ORIENTED:
            fix = "compose it of operators that TensorRT reads, or compute it at export"
            yield Finding(node.name, "operator", f"{node.op}, which not every TensorRT reads", fix)


def forms_are_read(graph: Graph) -> Iterator[Finding]:
    """Restrictions in the table: pools give no indices and have no gaps; resizing is nearest or linear."""
    for node in graph.of("MaxPool", "AveragePool"):
        if any(node.outputs[1:]):
            yield Finding(node.name, "form", "indices as a second output", "use the pooled values only")
        if "dilations" in node.attributes and set(node.attributes["dilations"].ints) > {1}:
            yield Finding(node.name, "form", "a pool with dilations", "pool without dilations")
    for node in graph.of("Resize"):
        mode = node.text("mode", "nearest")
        if mode not in ("nearest", "linear"):
            yield Finding(node.name, "form", f"resizing by {mode}", "resize by nearest or linear")


def types_are_known(graph: Graph) -> Iterator[Finding]:
    """double is narrowed in silence by every version; bfloat16 came with 10; others are not read at all."""
    for tensor, data_type in graph.types.items():
        if data_type not in TYPES:
            maker = graph.makers.get(tensor)
            since = ", which TensorRT reads since 10 only" if data_type == TensorProto.BFLOAT16 else ""
            found = f"{tensor} is {type_name(data_type)}{since}"
            yield Finding(maker.name if maker else tensor, "type", found, "use float32 or float16")


def inputs_are_of_one_type(graph: Graph) -> Iterator[Finding]:
    """11 takes types as they stand (strong typing) and casts nothing by itself."""
    for node in graph.of(*OF_ONE_TYPE):
        found = {graph.types[tensor]: tensor for tensor in node.inputs if tensor in graph.types}
        if len(found) > 1:
            told = ", ".join(f"{tensor} {type_name(data_type)}" for data_type, tensor in sorted(found.items()))
            yield Finding(node.name, "mixed-types", told, "bring all inputs to one type with Cast")


def bytes_stay_at_the_edges(graph: Graph) -> Iterator[Finding]:
    """uint8 is for a network's ends: a Cast to float comes first, a Cast from float last (the importer of 8.5)."""
    for node in graph.nodes:
        found = _cast_of_bytes(graph, node) if node.op == "Cast" else _work_on_bytes(graph, node)
        if found:
            yield Finding(node.name, *found)


def _work_on_bytes(graph: Graph, node: Node) -> tuple[str, str, str] | None:
    touched = [tensor for tensor in (*node.inputs, *node.outputs) if _is_bytes(graph, tensor)]
    # Quantisation to uint8 has its own rule, and so have its operations.
    if not touched or node.op in OPERATOR_ORIENTED or node.op in ("QuantizeLinear", "DequantizeLinear"):
        return None
    return "uint8", f"{node.op} works on uint8 ({touched[0]})", "move it to the float side of the Cast"


def _cast_of_bytes(graph: Graph, node: Node) -> tuple[str, str, str] | None:
    """A Cast that makes uint8 within the graph is told by what reads it."""
    source, target = node.input(0), next(iter(node.outputs), "")
    reads, writes = graph.types.get(source), graph.types.get(target)
    if reads == TensorProto.UINT8 and source not in graph.input_names:
        return "uint8", f"reads uint8 ({source}) within the graph", "cast to uint8 last of all"
    if reads == TensorProto.UINT8 and writes not in (*FLOATS, None):
        return "uint8-cast", f"from uint8 to {type_name(writes or 0)}", "cast to float32 first"
    if writes == TensorProto.UINT8 and reads not in (*FLOATS, None):
        return "uint8-cast", f"from {type_name(reads or 0)} to uint8", "cast to float32 first"
    return None


def _is_bytes(graph: Graph, tensor: str) -> bool:
    return bool(graph.types.get(tensor) == TensorProto.UINT8)


Rule = Callable[[Graph], Iterable[Finding]]

RULES: tuple[Rule, ...] = (
    opset_is_read_by_all,
    domains_are_known,
    ir_version_is_old_enough,
    shapes_are_static,
    weights_are_inside,
    operators_are_known,
    forms_are_read,
    types_are_known,
    inputs_are_of_one_type,
    bytes_stay_at_the_edges,
    *QUANTISATION_RULES,
)
