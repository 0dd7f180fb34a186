"""export.quantize: where each INT8 file has its pairs, with which numbers, and that they compute what they say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper, numpy_helper

from calibration.ranges import relu_outputs
from export.quantize import quantised, rounded
from export.rewrite import consumers_of, initializers

PRECISIONS = ("int8", "int8-cpu")
FLOAT_LAYERS = {"score_fr", "score_pool4", "score_pool3", "upscore2", "upscore_pool4", "upscore8"}


@pytest.fixture(scope="module")
def fp32(tiny_bundle: Path) -> onnx.ModelProto:
    return onnx.load(tiny_bundle / "model.fp32.onnx")


def ceilings_for(model: onnx.ModelProto) -> dict[str, float]:
    """Any numbers will do, so long as they tell the layers apart."""
    return {layer: 2.0 + number for number, layer in enumerate(relu_outputs(model.graph))}


@pytest.fixture(scope="module")
def files(fp32: onnx.ModelProto) -> dict[str, onnx.ModelProto]:
    return {precision: quantised(fp32, precision, ceilings_for(fp32)) for precision in PRECISIONS}


class Reader:
    """A graph asked who makes what."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph, self.constants = model.graph, initializers(model.graph)
        self.makers = {output: node for node in model.graph.node for output in node.output}
        self.readers = consumers_of(model.graph)

    def node(self, name: str) -> onnx.NodeProto:
        return next(node for node in self.graph.node if node.name == name)

    def made_by(self, tensor: str) -> str:
        return self.makers[tensor].op_type if tensor in self.makers else "constant"

    def pair(self, tensor: str) -> tuple[str, np.ndarray, np.ndarray]:
        """What a dequantised tensor was before its pair, and the pair's scale and zero point, equal at both ends."""
        leave = self.makers[tensor]
        enter = self.makers[leave.input[0]]
        assert (enter.op_type, leave.op_type) == ("QuantizeLinear", "DequantizeLinear")
        for end, other in zip(enter.input[1:], leave.input[1:], strict=True):
            assert np.array_equal(self.constants[end], self.constants[other])
        return enter.input[0], self.constants[enter.input[1]], self.constants[enter.input[2]]

    def weight(self, layer: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        """A convolution's int8 weights as the runtime gets them: steps, scale, zero points and axis."""
        leave = self.makers[self.node(layer).input[1]]
        scale, zeros = (self.constants[name] for name in leave.input[1:])
        axis = next(attribute.i for attribute in leave.attribute if attribute.name == "axis")
        if leave.input[0] in self.constants:
            return self.constants[leave.input[0]], scale, zeros, axis
        enter = self.makers[leave.input[0]]
        assert list(enter.input[1:]) == list(leave.input[1:]) and enter.attribute == leave.attribute
        values = self.constants[enter.input[0]]
        return np.round(values / scale[:, None, None, None]).astype(np.int8), scale, zeros, axis


def source_of(reader: Reader, layer: str, fp32: onnx.ModelProto) -> str:
    """What a layer reads in the fp32 graph."""
    return next(node.input[0] for node in fp32.graph.node if node.name == layer)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_files_are_sound_and_open(precision: str, files: Mapping[str, onnx.ModelProto]) -> None:
    onnx.checker.check_model(files[precision], full_check=True)
    onnxruntime.InferenceSession(files[precision].SerializeToString(), providers=["CPUExecutionProvider"])
    assert all(node.name for node in files[precision].graph.node)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_layer_with_a_relu_reads_its_input_through_a_pair_of_the_right_range(
    precision: str, files: Mapping[str, onnx.ModelProto], fp32: onnx.ModelProto
) -> None:
    reader, ceilings, relus = Reader(files[precision]), ceilings_for(fp32), relu_outputs(fp32.graph)
    zero, levels = (np.int8(0), 127) if precision == "int8" else (np.uint8(0), 255)
    assert len(relus) == 15
    for layer in relus:
        source, scale, zero_point = reader.pair(reader.node(layer).input[0])
        assert source == source_of(reader, layer, fp32)
        assert scale.dtype == np.float32 and scale.shape == zero_point.shape == () and zero_point.dtype == zero.dtype
        if layer == "conv1_1":
            continue  # the frame, see below
        made_by = next(name for name, relu in relus.items() if relu == _unpooled(fp32, source))
        assert zero_point == zero
        assert scale == pytest.approx(ceilings[made_by] / levels, rel=1e-6)


def _unpooled(fp32: onnx.ModelProto, tensor: str) -> str:
    """The ReLU's output behind a pool."""
    maker = next(node for node in fp32.graph.node if tensor in node.output)
    return maker.input[0] if maker.op_type == "MaxPool" else tensor


def test_int8_cpu_has_pairs_around_the_pools_too_and_int8_only_before_int8_convolutions(
    files: Mapping[str, onnx.ModelProto], fp32: onnx.ModelProto
) -> None:
    for precision, made_by in (("int8", "Relu"), ("int8-cpu", "DequantizeLinear")):
        reader = Reader(files[precision])
        pools = [node for node in reader.graph.node if node.op_type == "MaxPool"]
        assert len(pools) == 5
        assert {reader.made_by(pool.input[0]) for pool in pools} == {made_by}
    reader = Reader(files["int8"])
    for node in reader.graph.node:
        if node.op_type == "DequantizeLinear":
            assert {found.name for found in reader.readers[node.output[0]]} <= set(relu_outputs(fp32.graph)), node.name


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_are_int8_per_output_channel_and_use_all_steps(
    precision: str, files: Mapping[str, onnx.ModelProto], fp32: onnx.ModelProto
) -> None:
    reader, plain = Reader(files[precision]), Reader(fp32)
    for layer in relu_outputs(fp32.graph):
        steps, scale, zeros, axis = reader.weight(layer)
        weight = plain.constants[plain.node(layer).input[1]]
        assert axis == 0 and steps.dtype == zeros.dtype == np.int8 and not zeros.any()
        assert scale.dtype == np.float32 and scale.shape == zeros.shape == (len(weight),)
        np.testing.assert_allclose(np.abs(weight).max((1, 2, 3)), 127 * scale, rtol=1e-5)
        error = steps * scale[:, None, None, None] - weight
        assert np.abs(error / scale[:, None, None, None]).max() <= 1.001
        assert np.abs(steps.astype(int)).max() == 127


def test_the_bias_is_float_for_tensorrt_and_int32_of_the_sums_scale_for_cpus(
    files: Mapping[str, onnx.ModelProto], fp32: onnx.ModelProto
) -> None:
    plain, int8, on_cpu = Reader(fp32), Reader(files["int8"]), Reader(files["int8-cpu"])
    for layer in relu_outputs(fp32.graph):
        bias = plain.constants[plain.node(layer).input[2]]
        assert np.array_equal(int8.constants[int8.node(layer).input[2]], bias)
        leave = on_cpu.makers[on_cpu.node(layer).input[2]]
        whole, scale, zeros = (on_cpu.constants[name] for name in leave.input)
        assert leave.op_type == "DequantizeLinear" and whole.dtype == zeros.dtype == np.int32 and not zeros.any()
        _, entry, _ = on_cpu.pair(on_cpu.node(layer).input[0])
        assert np.array_equal(scale, (on_cpu.weight(layer)[1] * entry).astype(np.float32))
        np.testing.assert_allclose(whole * scale.astype(float), bias, atol=scale.max() / 2 * 1.001)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_scores_and_upsampling_are_left_as_they_were(
    precision: str, files: Mapping[str, onnx.ModelProto], fp32: onnx.ModelProto
) -> None:
    reader, plain = Reader(files[precision]), Reader(fp32)
    convolutions = {node.name for node in fp32.graph.node if node.op_type in ("Conv", "ConvTranspose")}
    assert convolutions - set(relu_outputs(fp32.graph)) == FLOAT_LAYERS
    for layer in FLOAT_LAYERS:
        node, before = reader.node(layer), plain.node(layer)
        assert list(node.input[1:]) == list(before.input[1:]) and node.attribute == before.attribute
        for name in node.input[1:]:
            assert np.array_equal(reader.constants[name], plain.constants[name])
    tail = [node.op_type for node in reader.graph.node][-6:]
    assert tail == [node.op_type for node in plain.graph.node][-6:]


def layers_of_tiny() -> list[str]:
    blocks = ((2, 1), (2, 2), (3, 3), (3, 4), (3, 5))
    return [f"conv{block}_{index}" for depth, block in blocks for index in range(1, depth + 1)] + ["fc6", "fc7"]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kept", [*({layer} for layer in layers_of_tiny()), set(layers_of_tiny()[3:8])], ids="-".join)
def test_a_layer_that_is_kept_has_float_weights_and_reads_what_was_never_quantised(
    precision: str, kept: set[str], fp32: onnx.ModelProto
) -> None:
    model = quantised(fp32, precision, ceilings_for(fp32), kept)
    onnx.checker.check_model(model, full_check=True)
    reader = Reader(model)
    for layer in relu_outputs(fp32.graph):
        node = reader.node(layer)
        if layer not in kept:
            assert reader.made_by(node.input[0]) == reader.made_by(node.input[1]) == "DequantizeLinear"
            continue
        assert list(node.input) == [source_of(reader, layer, fp32), *node.input[1:]]
        assert {reader.made_by(name) for name in node.input[1:]} == {"constant"}
        source = reader.makers[node.input[0]]
        if source.op_type == "MaxPool":
            source = reader.makers[source.input[0]]
        assert source.op_type == ("Sub" if layer == "conv1_1" else "Relu")


def test_with_every_layer_kept_nothing_is_quantised(fp32: onnx.ModelProto) -> None:
    for precision in PRECISIONS:
        model = quantised(fp32, precision, ceilings_for(fp32), set(relu_outputs(fp32.graph)))
        assert [node.op_type for node in model.graph.node] == [node.op_type for node in fp32.graph.node]


# -- the frame ----------------------------------------------------------------------------------------------------


def small(
    weights: list[tuple[np.ndarray, np.ndarray]], mean: tuple[float, ...] = (128.0,), size_hw: tuple[int, int] = (8, 9)
) -> onnx.ModelProto:
    """A frame to the sum of its last convolution, each but the last with a ReLU, as the exporter writes them."""
    height, width = size_hw
    constants = {"mean": np.float32(mean[0]) if len(mean) == 1 else np.float32(mean).reshape(1, 3, 1, 1)}
    nodes = [
        helper.make_node("Cast", ["frame"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Sub", ["planes", "mean"], ["entry"]),
    ]
    source = "entry"
    for number, (weight, bias) in enumerate(weights, start=1):
        last, name = number == len(weights), f"conv{number}"
        constants |= {f"{name}.w": weight.astype(np.float32), f"{name}.b": bias.astype(np.float32)}
        output = "sum" if last else name
        pads = [weight.shape[2] // 2] * 4
        nodes.append(helper.make_node("Conv", [source, f"{name}.w", f"{name}.b"], [output], name=name, pads=pads))
        if not last:
            source = f"relu{number}"
            nodes.append(helper.make_node("Relu", [name], [source]))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, height, width, 3])],
        [helper.make_tensor_value_info("sum", TensorProto.FLOAT, [1, len(weights[-1][0]), height, width])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def shown_bytes(model: onnx.ModelProto) -> np.ndarray:
    """(256, 3): what the first convolution gets of a pixel whose channels all hold one byte."""
    reader = Reader(model)
    _, scale, zero = reader.pair(reader.node("conv1").input[0])
    values = np.arange(256, dtype=np.float32)[:, None] - reader.constants["mean"].reshape(-1)
    limits = np.iinfo(zero.dtype)
    steps = np.clip(np.round(values / scale) + zero, limits.min, limits.max)
    return np.broadcast_to((steps - zero) * scale, (256, 3))


def one_layer(mean: tuple[float, ...], precision: str) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    weights = [(rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)), (rng.normal(size=(2, 4, 1, 1)), np.zeros(2))]
    return quantised(small(weights, mean), precision, {"conv1": 300.0})


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_frame_less_128_enters_int8_without_any_loss(precision: str) -> None:
    shown = shown_bytes(one_layer((128.0,), precision))
    assert np.array_equal(shown, np.repeat(np.arange(256)[:, None] - 128.0, 3, 1))


def test_a_frame_less_any_whole_mean_of_all_channels_enters_int8_cpu_without_any_loss() -> None:
    shown = shown_bytes(one_layer((100.0,), "int8-cpu"))
    assert np.array_equal(shown, np.repeat(np.arange(256)[:, None] - 100.0, 3, 1))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("mean", [(100.0,), (104.00699, 116.66877, 122.67892), (0.0,), (0.0, 128.0, 255.0)])
def test_a_frame_less_any_other_mean_is_cut_nowhere_and_off_by_at_most_a_step(
    precision: str, mean: tuple[float, ...]
) -> None:
    model = one_layer(mean, precision)
    wanted = np.arange(256)[:, None] - np.broadcast_to(np.float32(mean), 3)
    step = float(Reader(model).pair(Reader(model).node("conv1").input[0])[1])
    error = np.abs(shown_bytes(model) - wanted)
    assert error.max() <= step and error.mean() <= 0.3 * step
    assert step <= max(wanted.max(), -wanted.min()) / 127 * 1.001


# -- the sums -----------------------------------------------------------------------------------------------------


def emulated(weights: list[tuple[np.ndarray, np.ndarray]], ceilings: list[float], frame: np.ndarray) -> np.ndarray:
    """What int8-cpu says it computes, in numpy and float64 (the convolution itself by torch)."""
    values = frame.astype(float).transpose(2, 0, 1)[None] - 128
    entry = 1.0
    for (weight, bias), ceiling in zip(weights, [*ceilings, None], strict=True):
        if ceiling is None:
            return convolved(values, weight, bias)
        scale = np.float32(np.abs(weight).max((1, 2, 3)) / 127)
        steps = rounded(weight.astype(np.float32) / scale[:, None, None, None])
        bias_scale = (scale * np.float32(entry)).astype(float)
        sums = convolved(
            values, steps * scale.astype(float)[:, None, None, None], np.round(bias / bias_scale) * bias_scale
        )
        entry = float(np.float32(ceiling / 255))
        values = np.clip(np.round(np.maximum(sums, 0) / entry), 0, 255) * entry
    raise AssertionError("the last layer has no ceiling")


def convolved(values: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    arrays = (torch.from_numpy(np.asarray(array, float)) for array in (values, weight, bias))
    return torch.nn.functional.conv2d(*arrays, padding=weight.shape[2] // 2).numpy()


def run(model: onnx.ModelProto, frame: np.ndarray, plain: bool = True) -> np.ndarray:
    """By onnxruntime; `plain` does each node by itself, as the file says, without its integer kernels."""
    options = onnxruntime.SessionOptions()
    if plain:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"frame": frame[None]})[0])


def two_layers() -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    rng = np.random.default_rng(3)
    weights = [
        (rng.normal(size=(6, 3, 3, 3)).astype(np.float32), (100 * rng.normal(size=6)).astype(np.float32)),
        (rng.normal(size=(2, 6, 1, 1)).astype(np.float32), rng.normal(size=2).astype(np.float32)),
    ]
    return weights, rng.integers(0, 256, (8, 9, 3), np.uint8)


def test_int8_cpu_computes_what_numpy_does_by_the_same_rules() -> None:
    weights, frame = two_layers()
    model = quantised(small(weights), "int8-cpu", {"conv1": 1000.0})
    wanted = emulated(weights, [1000.0], frame)
    np.testing.assert_allclose(run(model, frame), wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    step = 1000 / 255 * np.abs(weights[1][0]).sum((1, 2, 3)).max()  # integer kernels may round a half the other way
    assert np.abs(run(model, frame, plain=False) - wanted).max() <= step


def test_int8_is_off_by_its_weights_rounding_alone() -> None:
    """A pair stands before convolutions only, here before the first, where it loses nothing; the bias is float."""
    weights, frame = two_layers()
    (weight, bias), last = weights
    scale = np.float32(np.abs(weight).max((1, 2, 3)) / 127)[:, None, None, None]
    sums = convolved(frame.astype(float).transpose(2, 0, 1)[None] - 128, rounded(weight / scale) * scale, bias)
    wanted = convolved(np.maximum(sums, 0), *last)
    found = run(quantised(small(weights), "int8", {"conv1": 1.0}), frame)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("precision", PRECISIONS)
def test_dead_channels_and_huge_biases_survive(precision: str) -> None:
    weights, frame = two_layers()
    (weight, bias), _ = weights
    weight[0], bias[0] = 0, 0  # dead
    weight[1], bias[1] = 0, 5.0  # a constant
    weight[2], bias[2] = weight[2] * 1e-6, 1e6  # its bias would overflow an int32 of the weights' own scale
    weight[3], bias[3] = weight[3] * 1e-42, -1.0  # too small for a normal float
    identity = (np.eye(6, dtype=np.float32)[:, :, None, None], np.zeros(6, np.float32))
    model = quantised(small([(weight, bias), identity]), precision, {"conv1": 2e6})
    scales = [value for name, value in initializers(model.graph).items() if name.endswith("_scale")]
    assert all(np.isfinite(scale).all() and (scale > 0).all() for scale in scales)
    for plain in (True, False):
        found = run(model, frame, plain)[0]
        wanted = [0.0, 5.0, 1e6, 0.0]
        step = 2e6 / 255 if precision == "int8-cpu" else 1e-3
        np.testing.assert_allclose(found[:4].mean((1, 2)), wanted, rtol=1e-4, atol=step)


# -- rounding -----------------------------------------------------------------------------------------------------

kernels = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=4, max_dims=4, max_side=4),
    elements=st.floats(-127, 127, width=32),
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(kernels)
def test_a_kernels_sum_is_kept_to_half_a_step_and_no_weight_goes_further_than_a_step(weight: np.ndarray) -> None:
    found = rounded(weight)
    assert found.dtype == np.int8 and found.shape == weight.shape and np.abs(found.astype(int)).max() <= 127
    error = found - weight.astype(float)
    assert np.abs(error.sum((2, 3))).max() <= 0.5 + 1e-9
    assert np.abs(error).max() < 1 + 1e-9


@settings(derandomize=True, deadline=None, max_examples=200)
@given(kernels)
def test_where_plain_rounding_keeps_the_sums_it_is_what_is_done(weight: np.ndarray) -> None:
    nearest = np.round(weight.astype(float))
    keeps = np.abs((nearest - weight.astype(float)).sum((2, 3))) <= 0.5
    assert np.array_equal(rounded(weight)[keeps], nearest[keeps])


def test_of_a_kernel_whose_sum_is_off_the_weights_nearest_to_the_middle_are_turned() -> None:
    weight = np.float32([0.6, 0.7, 0.8, 0.9]).reshape(1, 1, 2, 2)  # sums to 3, rounds to 4
    assert rounded(weight).reshape(-1).tolist() == [0, 1, 1, 1]
    assert rounded(-weight).reshape(-1).tolist() == [0, -1, -1, -1]


def test_kernels_are_rounded_each_for_itself() -> None:
    rng = np.random.default_rng(0)
    weight = rng.uniform(-127, 127, (3, 4, 3, 3)).astype(np.float32)
    alone = np.stack([[rounded(kernel[None, None])[0, 0] for kernel in channel] for channel in weight])
    assert np.array_equal(rounded(weight), alone)
    assert (rounded(weight) != np.round(weight)).any()
