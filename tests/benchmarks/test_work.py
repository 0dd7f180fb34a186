"""Operations and bytes that `benchmarks/roofline` counts, against counts by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.roofline.limit import Machine
from benchmarks.roofline.peaks import Shape, dense_runs
from benchmarks.roofline.profiles import per_stage
from benchmarks.roofline.work import INPUT, Graph, Work

SIDE, CHANNELS_IN, CHANNELS_OUT = 8, 3, 4


@pytest.fixture(params=[False, True], ids=["float", "int8"])
def graph(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Graph, bool]:
    """A 3x3 convolution, a ReLU, then scores at half the size; the first in INT8 or not."""
    is_int8 = request.param
    weights = {"w": (CHANNELS_OUT, CHANNELS_IN, 3, 3), "scores": (2, CHANNELS_OUT, 1, 1)}
    constants = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()]
    nodes, entry = [], ["x", "w"]
    if is_int8:
        constants[0] = numpy_helper.from_array(np.ones(weights["w"], np.int8), "w")
        constants += [
            numpy_helper.from_array(np.array(1, kind), kind.__name__) for kind in (np.float32, np.uint8, np.int8)
        ]
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "float32", "uint8"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "float32", "uint8"], ["xd"]),
            helper.make_node("DequantizeLinear", ["w", "float32", "int8"], ["wd"]),
        ]
        entry = ["xd", "wd"]
    nodes += [
        helper.make_node("Conv", entry, ["sum"], name="conv1_1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["sum"], ["positive"]),
    ]
    if is_int8:
        nodes += [
            helper.make_node("QuantizeLinear", ["positive", "float32", "uint8"], ["pq"]),
            helper.make_node("DequantizeLinear", ["pq", "float32", "uint8"], ["pd"]),
        ]
    read = ["pd" if is_int8 else "positive", "scores"]
    nodes.append(helper.make_node("Conv", read, ["y"], name="score_fr", strides=[2, 2]))
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS_IN, SIDE, SIDE]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, SIDE // 2, SIDE // 2]),
    ]
    made = helper.make_graph(nodes, "small", ends[:1], ends[1:], constants)
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "small.onnx")
    return Graph(tmp_path / "small.onnx"), is_int8


def test_operations_and_bytes_are_those_counted_by_hand(graph: tuple[Graph, bool]) -> None:
    small, is_int8 = graph
    operations = 2 * CHANNELS_IN * CHANNELS_OUT * 9 * SIDE**2
    padding = operations * (
        1 - (22 / 24) ** 2
    )  # of three taps at each of eight places, the first and the last miss one
    numbers = CHANNELS_IN * SIDE**2 + CHANNELS_IN * CHANNELS_OUT * 9 + CHANNELS_OUT * SIDE**2
    in_int8, in_float = (operations, 0) if is_int8 else (0, operations)
    work = small.work()
    assert list(work) == [INPUT, "block 1", "scores"]
    assert work["block 1"] == Work(in_int8, in_float, pytest.approx(padding), numbers * (1 if is_int8 else 4))


def test_float_scores_read_what_the_layer_before_has_written(graph: tuple[Graph, bool]) -> None:
    small, is_int8 = graph
    places, read = (SIDE // 2) ** 2, CHANNELS_OUT * SIDE**2
    moved = read * (1 if is_int8 else 4) + 4 * (2 * CHANNELS_OUT + 2 * places)
    assert small.work()["scores"] == Work(0, 2 * 2 * CHANNELS_OUT * places, 0, moved)


def test_what_only_an_engine_knows_belongs_to_the_stage_before_it(graph: tuple[Graph, bool]) -> None:
    nodes = [
        ("Multiply_8", 1.0),  # before the first convolution
        ("conv1_1/WithoutBiases", 2.0),
        ("ReorderOutput_token_3_kernel_time", 0.5),
        ("y_nchwc_kernel_time", 4.0),  # onnxruntime names a convolution after what it makes
    ]
    assert per_stage([nodes], graph[0].stage_of()) == {INPUT: 1.0, "block 1": 2.5, "scores": 4.0}


def test_the_limit_is_the_longer_of_operations_and_bytes() -> None:
    machine = Machine(int8=4e9, fp32=1e9, bandwidth={1000: 1e9, 10**6: 1e6})
    busy, fed = Work(4e6, 1e6, 0, 100), Work(4, 1, 0, 2000)
    assert machine.limit_ms(busy) == pytest.approx(2.0)  # a millisecond in each precision
    assert machine.limit_ms(fed) == pytest.approx(2.0)  # more than the caches hold


def test_both_engines_compute_the_same_of_a_dense_graph(tmp_path: Path) -> None:
    runs = dense_runs(tmp_path / "dense.onnx", Shape(32, 8, 3), 1, is_int8=True)
    mine, theirs = (np.asarray(run()[0], int) for run in runs.values())
    assert mine.shape == (1, 32, 8, 8)
    assert mine.max() > 0
    assert np.abs(mine - theirs).max() <= 1  # of rounding
