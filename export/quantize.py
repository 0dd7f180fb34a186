"""From the fp32 graph to INT8: QuantizeLinear/DequantizeLinear pairs, by TensorRT's rules or for x86 CPUs.

`int8` is for TensorRT: symmetric int8, a pair at each convolution's input and weights, biases in float. `int8-cpu` is
what VNNI multiplies: uint8 activations (U8S8), pairs around the pools too, so that onnxruntime fuses runs of layers.
Weights are int8 per output channel in both. Score layers, upsampling and argmax stay float: they decide by small
differences and cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from calibration.ranges import relu_outputs
from export.rewrite import Rewriter, consumers_of, initializers

WEIGHT_LEVELS = 127  # symmetric, without -128
KERNELS_AT_ONCE = 1 << 16  # rounded together: fc6 at full size has two million
BIAS_LEVELS = 2**30  # of an int32, with room for the sum it starts


@dataclass(frozen=True)
class Scale:
    """real = scale * (stored - zero_point); stored numbers have the type of `zero_point`."""

    scale: float
    zero_point: np.uint8 | np.int8


def quantised(
    fp32: onnx.ModelProto, precision: str, ceilings: Mapping[str, float], kept: Set[str] = frozenset()
) -> onnx.ModelProto:
    """A copy of an exported fp32 graph in `int8` or `int8-cpu`.

    `ceilings`: layer -> the largest value of its ReLU to show; `kept`: layers that stay float, with their inputs.
    """
    on_cpu = precision == "int8-cpu"
    layers = set(relu_outputs(fp32.graph)) - kept
    scales = _scales(fp32.graph, layers, ceilings, kept, on_cpu)
    weights = initializers(fp32.graph)
    rewriter = Rewriter(fp32)
    pairs: dict[str, str] = {}
    for node in fp32.graph.node:
        if node.name in layers:
            entry = scales[node.input[0]] if on_cpu else None
            _write_convolution(rewriter, node, weights, pairs[node.input[0]], entry)
        else:
            rewriter.copy(node)
        for tensor in set(node.output) & set(scales):
            pairs[tensor] = _write_pair(rewriter, tensor, scales[tensor])
            if on_cpu:  # TensorRT wants a convolution with float weights to read what was never quantised
                rewriter.rename(tensor, pairs[tensor])
    return rewriter.model()


def _scales(
    graph: onnx.GraphProto, layers: Set[str], ceilings: Mapping[str, float], kept: Set[str], on_cpu: bool
) -> dict[str, Scale]:
    """tensor -> how it is stored, for every tensor that gets a pair."""
    readers = consumers_of(graph)
    paired = {node.input[0] for node in graph.node if node.name in layers}
    ceiling_of: dict[str, float] = {}
    for layer, relu in relu_outputs(graph).items():
        pools = [node.output[0] for node in readers[relu] if node.op_type == "MaxPool"]
        ceiling_of |= dict.fromkeys([relu, *pools], ceilings[layer])
        spared = {node.name for tensor in [relu, *pools] for node in readers[tensor]} & kept
        if on_cpu and layer in layers and not spared:
            paired |= {relu, *pools}
    return {
        tensor: _activation_scale(ceiling_of[tensor], on_cpu)
        if tensor in ceiling_of
        else _entry_scale(_mean_before(graph, tensor), on_cpu)
        for tensor in sorted(paired)
    }


def _activation_scale(ceiling: float, on_cpu: bool) -> Scale:
    """Of values after a ReLU, which are never negative."""
    return Scale(ceiling / 255, np.uint8(0)) if on_cpu else Scale(ceiling / 127, np.int8(0))


def _entry_scale(mean: NDArray[np.float32], on_cpu: bool) -> Scale:
    """Of a frame's bytes minus the mean: without loss where one mean for all channels leaves bytes."""
    low, high = -float(mean.max()), 255 - float(mean.min())
    if on_cpu:
        scale = (high - low) / 255
        return Scale(scale, np.uint8(round(-low / scale)))
    return Scale(1.0 if (low, high) == (-128, 127) else max(-low, high) / 127, np.int8(0))


def _mean_before(graph: onnx.GraphProto, tensor: str) -> NDArray[np.float32]:
    """What the graph subtracts from the frame to make the first convolution's input."""
    subtraction = next(node for node in graph.node if tensor in node.output)
    return np.asarray(initializers(graph)[subtraction.input[1]], np.float32)


def _write_pair(rewriter: Rewriter, tensor: str, scale: Scale) -> str:
    ends = [
        rewriter.constant(f"{tensor}_scale", np.float32(scale.scale)),
        rewriter.constant(f"{tensor}_zero_point", scale.zero_point),
    ]
    stored = rewriter.add("QuantizeLinear", [tensor, *ends], f"{tensor}_quantised")
    return rewriter.add("DequantizeLinear", [stored, *ends], f"{tensor}_dequantised")


def _write_convolution(
    rewriter: Rewriter,
    node: onnx.NodeProto,
    weights: Mapping[str, NDArray[np.float32]],
    source: str,
    entry: Scale | None,
) -> None:
    """A convolution that reads `source` and has weights in int8 per output channel.

    With `entry`, the scale of its input, weights are stored as int8 and the bias as int32, as onnxruntime fuses them.
    Without, both are stored as float32: TensorRT 8 reads no stored int8 weights, and none allows a quantised bias.
    """
    weight = weights[node.input[1]]
    bias = weights[node.input[2]] if len(node.input) > 2 else None  # one of zeros is left out by the exporter
    scale = np.abs(weight).max(axis=(1, 2, 3)) / WEIGHT_LEVELS
    if entry and bias is not None:  # an int32 must hold the bias
        scale = np.maximum(scale, np.abs(bias) / (entry.scale * BIAS_LEVELS))
    scale = np.where(scale > np.finfo(np.float32).tiny, scale, 1).astype(np.float32)
    steps = scale[:, None, None, None]
    stored = rounded(weight / steps)
    name = f"{node.name}.weight"
    if entry is None:
        rewriter.copy(node, [source, _write_float(rewriter, name, stored * steps, scale), *node.input[2:]])
        return
    inputs = [source, _write_stored(rewriter, name, stored, scale)]
    if bias is not None:
        bias_scale = (scale * np.float32(entry.scale)).astype(np.float32)
        whole = np.round(bias.astype(np.float64) / bias_scale).astype(np.int32)
        inputs.append(_write_stored(rewriter, f"{node.name}.bias", whole, bias_scale))
    rewriter.copy(node, inputs)


def rounded(weight: NDArray[np.float32]) -> NDArray[np.int8]:
    """(O, I, kh, kw) in steps to int8, each kernel's sum kept to half a step.

    Neighbouring pixels are alike, so errors that cancel within a kernel nearly vanish, and those which add up shift
    the whole output (the reasoning of Nagel et al., "Up or Down?", ICML 2020, for inputs that are locally constant).
    The weights nearest to the middle between two steps are the ones that are rounded the other way.
    """
    kernels = weight.reshape(-1, weight.shape[2] * weight.shape[3])
    stored = np.empty(kernels.shape, np.int8)
    for start in range(0, len(kernels), KERNELS_AT_ONCE):
        block = slice(start, start + KERNELS_AT_ONCE)
        stored[block] = _rounded_kernels(kernels[block].astype(np.float64))
    return stored.reshape(weight.shape)


def _rounded_kernels(steps: NDArray[np.float64]) -> NDArray[np.int8]:
    nearest = np.round(steps)
    error = nearest - steps
    surplus = np.round(error.sum(1, keepdims=True))  # whole steps too many (or, if negative, too few)
    order = np.argsort(np.argsort(-error * np.sign(surplus), axis=1, kind="stable"), axis=1)
    turned = nearest - np.where(order < np.abs(surplus), np.sign(surplus), 0)
    return np.asarray(np.clip(turned, -WEIGHT_LEVELS, WEIGHT_LEVELS), np.int8)


def _write_stored(rewriter: Rewriter, name: str, stored: NDArray[np.generic], scale: NDArray[np.float32]) -> str:
    """An integer constant and its DequantizeLinear, a scale per output channel."""
    return _dequantised(rewriter, name, rewriter.constant(f"{name}_quantised", stored), scale, stored.dtype)


def _write_float(rewriter: Rewriter, name: str, values: NDArray[np.float32], scale: NDArray[np.float32]) -> str:
    """A float constant, already on its steps, and its pair, a scale per output channel."""
    ends = _per_channel(rewriter, name, scale, np.dtype(np.int8))
    source = rewriter.constant(f"{name}_rounded", values)
    stored = rewriter.add("QuantizeLinear", [source, *ends], f"{name}_quantised", axis=0)
    return _dequantised(rewriter, name, stored, scale, np.dtype(np.int8))


def _dequantised(
    rewriter: Rewriter, name: str, stored: str, scale: NDArray[np.float32], dtype: np.dtype[np.generic]
) -> str:
    ends = _per_channel(rewriter, name, scale, dtype)
    return rewriter.add("DequantizeLinear", [stored, *ends], f"{name}_dequantised", axis=0)


def _per_channel(
    rewriter: Rewriter, name: str, scale: NDArray[np.float32], dtype: np.dtype[np.generic]
) -> tuple[str, str]:
    zeros = rewriter.constant(f"{name}_zero_point", np.zeros(scale.shape, dtype))
    return rewriter.constant(f"{name}_scale", scale), zeros
