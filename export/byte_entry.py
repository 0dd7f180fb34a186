"""The frame's own bytes as the first convolution's INT8 input, where the graph subtracts one whole number from them.

Where the number also stands around the frame in place of zeros, sum(w (byte - mean)) + bias is
sum(w byte) + (bias - mean sum(w)): the mean moves into the bias, to the last integer. OpenVINO convolves in float32
what has a zero point other than 0; this it does in INT8.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.rewrite import Rewriter, consumers_of, initializers

BEFORE = ("Cast", "Transpose", "Sub", "QuantizeLinear", "DequantizeLinear", "Conv")  # from the frame on


@dataclass(frozen=True)
class _Entry:
    frame: str  # (1, H, W, 3) uint8
    mean: int  # of every channel
    convolution: onnx.NodeProto


def with_byte_entry(int8_cpu: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose first convolution reads bytes; the model itself where that would not be the same function."""
    constants = initializers(int8_cpu.graph)  # all weights of the network: read once
    entry = _entry(int8_cpu.graph, constants)
    if entry is None:
        return int8_cpu
    rewriter = Rewriter(int8_cpu)
    source = _write_bytes(rewriter, entry)
    makers = {output: node for node in int8_cpu.graph.node for output in node.output}
    for node in int8_cpu.graph.node:
        if node.name != entry.convolution.name:
            rewriter.copy(node)
            continue
        bias = _write_bias(rewriter, entry, makers, constants)
        copied = rewriter.copy(node, [source, node.input[1], bias])
        _pads(copied)[:] = [0, 0, 0, 0]
    return rewriter.model()


def _entry(graph: onnx.GraphProto, constants: Mapping[str, NDArray[Any]]) -> _Entry | None:
    """None unless a pair of scale 1, whose zero point is the mean, loses nothing of the bytes."""
    readers, frame = consumers_of(graph), graph.input[0].name
    way: list[onnx.NodeProto] = []
    for operation in BEFORE:
        (reader, *others) = readers[way[-1].output[0] if way else frame]
        if others or reader.op_type != operation:
            return None
        way.append(reader)
    mean, scale, zero_point = (constants[name] for name in (way[2].input[1], *way[3].input[1:]))
    lossless = mean.size == 1 and scale == 1 and zero_point.dtype == np.uint8 and mean == zero_point
    return _Entry(frame, int(zero_point), way[-1]) if lossless else None


def _pads(convolution: onnx.NodeProto) -> Any:
    """Top, left, bottom, right; the exporter writes them always."""
    return next(attribute.ints for attribute in convolution.attribute if attribute.name == "pads")


def _write_bytes(rewriter: Rewriter, entry: _Entry) -> str:
    top, left, bottom, right = _pads(entry.convolution)
    pads = rewriter.constant("frame_pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    mean = rewriter.constant("frame_mean", np.uint8(entry.mean))
    scale, zero = rewriter.constant("frame_scale", np.float32(1)), rewriter.constant("frame_zero_point", np.uint8(0))
    planes = rewriter.add("Transpose", [entry.frame], "frame_planes", perm=[0, 3, 1, 2])
    padded = rewriter.add("Pad", [planes, pads, mean], "frame_padded")
    return rewriter.add("DequantizeLinear", [padded, scale, zero], "frame_dequantised")


def _write_bias(
    rewriter: Rewriter, entry: _Entry, makers: Mapping[str, onnx.NodeProto], constants: Mapping[str, NDArray[Any]]
) -> str:
    """In steps of the weights, since a byte's step is 1; what a training leaves far below 2^30 of them still fits."""
    name = entry.convolution.name
    stored, scale, _ = (constants[end] for end in makers[entry.convolution.input[1]].input)
    bias = entry.mean * -stored.astype(np.int32).sum((1, 2, 3))
    if len(entry.convolution.input) > 2:
        bias += constants[makers[entry.convolution.input[2]].input[0]]
    ends = [
        rewriter.constant(f"{name}.shifted_bias", bias.astype(np.int32)),
        rewriter.constant(f"{name}.shifted_bias_scale", scale),
        rewriter.constant(f"{name}.shifted_bias_zero_point", np.zeros(len(bias), np.int32)),
    ]
    return rewriter.add("DequantizeLinear", ends, f"{name}.shifted_bias_dequantised", axis=0)
