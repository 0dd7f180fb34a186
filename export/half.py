"""From the fp32 graph to FP16: a typed graph whose casts are explicit, as TensorRT's strong typing wants them.

Convolutions with their ReLUs and pools compute in half precision; normalisation, score sums, upsampling and argmax in
single. So does any layer whose values could leave float16's range, for what overflows is lost without a word.
"""

from __future__ import annotations

from collections.abc import Set

import numpy as np
import onnx

from calibration.ranges import Histograms, relu_outputs
from export.rewrite import Rewriter, consumers_of, initializers

LIMIT = 1e4  # calibration pictures are not all pictures; float16 itself ends at 65504


def out_of_range(fp32: onnx.GraphProto, histograms: Histograms) -> list[str]:
    """Layers that must stay float32: those which make, read or hold a number above LIMIT."""
    weights = initializers(fp32)
    layers = relu_outputs(fp32)
    loud = {name for name in layers if histograms[name].maximum > LIMIT}
    loud_tensors = _with_pools(fp32, {layers[name] for name in loud})
    for node in fp32.node:
        if node.name in layers:
            heavy = any(np.abs(weights[name]).max() > LIMIT for name in node.input[1:])
            if heavy or node.input[0] in loud_tensors:
                loud.add(node.name)
    return [name for name in layers if name in loud]


def halved(fp32: onnx.ModelProto, kept: Set[str] = frozenset()) -> onnx.ModelProto:
    """A copy of an exported fp32 graph in float16, but for the layers named in `kept` and what is never quantised."""
    layers = set(relu_outputs(fp32.graph)) - kept
    weights = initializers(fp32.graph)
    rewriter = Rewriter(fp32)
    half: set[str] = set()  # tensors that are float16
    for node in fp32.graph.node:
        if node.name in layers:
            _write_half(rewriter, node, half)
            for name in node.input[1:]:
                rewriter.constant(f"{name}_half", weights[name].astype(np.float16))
        elif node.op_type in ("Relu", "MaxPool") and node.input[0] in half:
            rewriter.copy(node)
        else:
            rewriter.copy(node, [_single(rewriter, name) if name in half else name for name in node.input])
            continue
        half.update(node.output)
    return rewriter.model()


def _with_pools(graph: onnx.GraphProto, tensors: set[str]) -> set[str]:
    readers = consumers_of(graph)
    return tensors | {node.output[0] for name in tensors for node in readers[name] if node.op_type == "MaxPool"}


def _write_half(rewriter: Rewriter, node: onnx.NodeProto, half: set[str]) -> None:
    entry = node.input[0] if node.input[0] in half else _cast(rewriter, node.input[0], "half", onnx.TensorProto.FLOAT16)
    rewriter.copy(node, [entry, *(f"{name}_half" for name in node.input[1:])])


def _single(rewriter: Rewriter, tensor: str) -> str:
    return _cast(rewriter, tensor, "single", onnx.TensorProto.FLOAT)


def _cast(rewriter: Rewriter, tensor: str, suffix: str, to: int) -> str:
    name = f"{tensor}_{suffix}"
    if not any(name in node.output for node in rewriter.nodes):
        rewriter.add("Cast", [tensor], name, to=to)
    return name
