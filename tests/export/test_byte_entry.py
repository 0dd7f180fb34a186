"""export.byte_entry: the same function to the last integer, and only where that holds."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from export.byte_entry import with_byte_entry
from export.quantize import quantised
from tests.export.test_quantize import Reader, run, small, two_layers


def two_files(mean: float = 128.0) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    weights, _ = two_layers()
    before = quantised(small(weights, (mean,)), "int8-cpu", {"conv1": 1000.0})
    return before, with_byte_entry(before)


@pytest.mark.parametrize("mean", [128.0, 100.0, 0.0])
def test_it_computes_the_same_to_the_last_integer_borders_too(mean: float) -> None:
    _, frame = two_layers()
    before, after = two_files(mean)
    onnx.checker.check_model(after, full_check=True)
    assert np.array_equal(run(after, frame, plain=False), run(before, frame, plain=False))
    np.testing.assert_allclose(run(after, frame), run(before, frame), rtol=1e-5, atol=1e-3)


def test_pads_that_differ_from_side_to_side_stay_where_they_were() -> None:
    weights, frame = two_layers()
    fp32 = small(weights)
    pads = next(attribute for attribute in fp32.graph.node[-3].attribute if attribute.name == "pads")
    pads.ints[:] = [0, 1, 2, 1]  # as many as before, a row further down
    before = quantised(fp32, "int8-cpu", {"conv1": 1000.0})
    assert np.array_equal(run(with_byte_entry(before), frame, plain=False), run(before, frame, plain=False))


def test_a_convolution_without_a_bias_gets_one() -> None:
    weights, frame = two_layers()
    fp32 = small(weights)
    fp32.graph.node[-3].input.pop()
    before = quantised(fp32, "int8-cpu", {"conv1": 1000.0})
    assert np.array_equal(run(with_byte_entry(before), frame, plain=False), run(before, frame, plain=False))


def test_the_convolution_reads_the_frames_bytes_with_a_zero_point_of_0() -> None:
    reader = Reader(two_files()[1])
    leave = reader.makers[reader.node("conv1").input[0]]
    assert leave.op_type == "DequantizeLinear" and reader.made_by(leave.input[0]) == "Pad"
    assert (reader.constants[leave.input[1]], reader.constants[leave.input[2]]) == (1, 0)
    assert "Sub" not in {node.op_type for node in reader.graph.node}


@pytest.mark.parametrize("mean", [(100.5,), (104.0, 117.0, 123.0)])
def test_other_means_are_left_to_the_pair(mean: tuple[float, ...]) -> None:
    model = quantised(small(two_layers()[0], mean), "int8-cpu", {"conv1": 1000.0})
    assert with_byte_entry(model) is model


def test_a_first_layer_that_stays_float_keeps_its_entry() -> None:
    model = quantised(small(two_layers()[0]), "int8-cpu", {"conv1": 1000.0}, {"conv1"})
    assert with_byte_entry(model) is model
