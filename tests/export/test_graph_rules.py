"""graph_rules.py: graphs that follow TensorRT's rules pass, and each broken rule is found at its node, alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from export.graph_rules import OPERATORS, RULES, check_graph
from export.onnx_graph import graph_from_model
from tests.export.small_graphs import WEIGHTS, find, float_graph, half_graph, insert, node, quantised_graph, store

Build = Callable[[], onnx.ModelProto]
Break = Callable[[onnx.ModelProto], object]

GOOD = {"float": float_graph, "quantised": quantised_graph, "half": half_graph}


@pytest.mark.parametrize("build", GOOD.values(), ids=GOOD)
def test_a_graph_that_follows_the_rules_has_no_findings(build: Build) -> None:
    onnx.checker.check_model(build(), full_check=True)
    assert check_graph(build()) == []


def set_opset(version: int) -> Break:
    def change(broken: onnx.ModelProto) -> None:
        broken.opset_import[0].version = version

    return change


def without_opset(broken: onnx.ModelProto) -> None:
    del broken.opset_import[:]


def relu_of_another_domain(broken: onnx.ModelProto) -> None:
    find(broken, "relu").domain = "com.microsoft"
    broken.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def stray_opset(broken: onnx.ModelProto) -> None:
    broken.opset_import.append(helper.make_opsetid("com.microsoft", 1))


def newer_ir(broken: onnx.ModelProto) -> None:
    broken.ir_version = 9


def dynamic_height(broken: onnx.ModelProto) -> None:
    broken.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"


def unknown_side(broken: onnx.ModelProto) -> None:
    broken.graph.output[0].type.tensor_type.shape.dim[2].Clear()


def output_without_shape(broken: onnx.ModelProto) -> None:
    broken.graph.output[0].type.tensor_type.ClearField("shape")


def external_bias(broken: onnx.ModelProto) -> None:
    bias = next(constant for constant in broken.graph.initializer if constant.name == "b")
    bias.ClearField("raw_data")
    bias.data_location = TensorProto.EXTERNAL
    bias.external_data.add(key="location", value="weights.bin")


def layer_norm(name: str) -> Break:
    def change(broken: onnx.ModelProto) -> None:
        store(broken, "ones", np.ones(8, np.float32))
        insert(broken, "pool", helper.make_node("LayerNormalization", ["relu", "ones"], ["norm"], name=name))

    return change


def branches(broken: onnx.ModelProto) -> None:
    """An If, whose subgraphs hold what nobody checks."""
    value = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    branch = helper.make_graph([node("Identity", "inside", ["relu"], "inner")], "branch", [], [value])
    store(broken, "condition", np.bool_(True))
    insert(broken, "pool", node("If", "choose", ["condition"], then_branch=branch, else_branch=branch))


def pool_indices(broken: onnx.ModelProto) -> None:
    find(broken, "pool").output.append("indices")


def pool_dilations(*dilations: int) -> Break:
    return lambda broken: find(broken, "pool").attribute.append(helper.make_attribute("dilations", dilations))


def cubic(broken: onnx.ModelProto) -> None:
    store(broken, "sizes", np.array([1, 4, 8, 8]))
    insert(broken, "argmax", node("Resize", "resize", ["up", "", "", "sizes"], mode="cubic"))


def by_way_of(data_type: int) -> Break:
    def change(broken: onnx.ModelProto) -> None:
        there, back = (node("Cast", *words, to=to) for words, to in zip(CASTS, (data_type, 1), strict=True))
        insert(broken, "pool", there, back)

    return change


CASTS = (("there", ["relu"]), ("back", ["there"]))


def double_constant(broken: onnx.ModelProto) -> None:
    store(broken, "wide", np.zeros((1, 4, 1, 1)))
    insert(broken, "pool", node("Cast", "narrow", ["wide"], to=1), node("Add", "add", ["relu", "narrow"]))


def half_weights(broken: onnx.ModelProto) -> None:
    store(broken, "w", WEIGHTS["w"].astype(np.float16))


def transpose_first(broken: onnx.ModelProto) -> None:
    turn, enter = find(broken, "turn"), find(broken, "enter")
    insert(broken, "enter", node("Transpose", "early", ["frame"], perm=list(turn.attribute[0].ints)))
    find(broken, "conv").input[0] = enter.output[0]
    broken.graph.node.remove(turn)


def transpose_last(broken: onnx.ModelProto) -> None:
    find(broken, "leave").output[0] = "bytes"
    broken.graph.node.append(node("Transpose", "late", ["bytes"], "mask", perm=[0, 2, 1]))


def bytes_within(broken: onnx.ModelProto) -> None:
    insert(broken, "pool", node("Cast", "there", ["relu"], to=TensorProto.UINT8), node("Cast", "back", ["there"], to=1))


def enter_as_integer(broken: onnx.ModelProto) -> None:
    insert(broken, "enter", node("Cast", "whole", ["frame"], to=TensorProto.INT32))


def leave_from_integer(broken: onnx.ModelProto) -> None:
    find(broken, "leave").input[0] = "argmax"
    broken.graph.node.remove(find(broken, "widen"))


# What breaks a graph without Q and DQ: how, and the node and rule of each finding.
FLOAT_BREACHES: list[tuple[Break, list[tuple[str, str]]]] = [
    (set_opset(18), [("opset_import", "opset")]),
    (set_opset(8), [("opset_import", "opset")]),
    (without_opset, [("opset_import", "opset")]),
    (relu_of_another_domain, [("relu", "domain")]),
    (stray_opset, [("com.microsoft", "stray-opset")]),
    (newer_ir, [("ir_version", "ir-version")]),
    (dynamic_height, [("frame", "shape")]),
    (unknown_side, [("mask", "shape")]),
    (output_without_shape, [("mask", "shape")]),
    (external_bias, [("b", "external-data")]),
    (layer_norm("norm"), [("norm", "operator")]),
    (layer_norm(""), [("node 4 (LayerNormalization)", "operator")]),
    (branches, [("choose", "operator")]),
    (pool_indices, [("pool", "form")]),
    (pool_dilations(2, 1), [("pool", "form")]),
    (pool_dilations(1, 1), []),
    (cubic, [("resize", "form")]),
    (by_way_of(TensorProto.DOUBLE), [("there", "type")]),
    (by_way_of(TensorProto.BFLOAT16), [("there", "type")]),
    (by_way_of(TensorProto.UINT16), [("there", "type")]),
    (double_constant, [("wide", "type")]),
    (half_weights, [("conv", "mixed-types")]),
    (transpose_first, [("early", "uint8"), ("enter", "uint8")]),
    (transpose_last, [("late", "uint8")]),
    (bytes_within, [("back", "uint8")]),
    (enter_as_integer, [("whole", "uint8-cast")]),
    (leave_from_integer, [("leave", "uint8-cast")]),
]


def stored_as(name: str, value: object) -> Break:
    return lambda broken: store(broken, name, value)


def without_zero_point(broken: onnx.ModelProto) -> None:
    find(broken, "x_q").input.pop()


def computed(tensor: str, reads: int) -> Break:
    """A number of x_q that is no constant."""

    def change(broken: onnx.ModelProto) -> None:
        insert(broken, "x_q", node("Identity", "computed", [tensor]), reads=reads)

    return change


def per_channel_activation(broken: onnx.ModelProto) -> None:
    store(broken, "x_scale", np.full(3, 0.5, np.float32))
    for end in ("x_q", "x_dq"):
        store(broken, f"{end}_zero", np.zeros(3, np.int8))


def weight_axis(axis: int | None, count: int) -> Break:
    def change(broken: onnx.ModelProto) -> None:
        store(broken, "w_scale", np.full(count, 0.25, np.float32))
        for end in ("w_q", "w_dq"):
            store(broken, f"{end}_zero", np.zeros(count, np.int8))
            del find(broken, end).attribute[:]
            if axis is not None:
                find(broken, end).attribute.append(helper.make_attribute("axis", axis))
        broken.graph.node.append(node("Neg", "beside", ["w_dq"]))  # that a second one reads it, changes nothing

    return change


def scale_of_its_own(broken: onnx.ModelProto) -> None:
    find(broken, "x_dq").input[1] = store(broken, "other", np.float32(0.25))


def half_scale(broken: onnx.ModelProto) -> None:
    find(broken, "x_q").input[1] = store(broken, "half", np.float16(0.5))


def pool_in_integers(broken: onnx.ModelProto) -> None:
    insert(broken, "x_dq", node("MaxPool", "pool8", ["x_q"], kernel_shape=[1, 1]))


def second_reader_of_integers(broken: onnx.ModelProto) -> None:
    broken.graph.node.append(node("Cast", "second", ["x_q"], to=1))


def integers_as_an_input(broken: onnx.ModelProto) -> None:
    broken.graph.input.append(helper.make_tensor_value_info("eighths", TensorProto.INT8, [1, 3, 8, 8]))
    find(broken, "x_dq").input[0] = "eighths"
    broken.graph.node.remove(find(broken, "x_q"))


def quantised_bias(stored: type[np.generic]) -> Break:
    def change(broken: onnx.ModelProto) -> None:
        inputs = [store(broken, "whole", np.zeros(4, stored)), "w_scale", store(broken, "none", np.zeros(4, stored))]
        insert(broken, "conv", node("DequantizeLinear", "b_dq", inputs, axis=0), reads=2)

    return change


def integers_added(broken: onnx.ModelProto) -> None:
    inputs = [store(broken, "whole", np.int32(7)), "x_scale", store(broken, "none", np.int32(0))]
    insert(broken, "relu", node("DequantizeLinear", "seven", inputs), node("Add", "add", ["conv", "seven"]))


def float_input(broken: onnx.ModelProto) -> None:
    find(broken, "conv").input[0] = "turn"


def float_weights(broken: onnx.ModelProto) -> None:
    find(broken, "conv").input[1] = "w"


def computed_weights(broken: onnx.ModelProto) -> None:
    weight_axis(0, 1)(broken)
    insert(broken, "w_q", node("Neg", "computed", ["w"]))


def stored_integers(broken: onnx.ModelProto) -> None:
    find(broken, "w_dq").input[0] = store(broken, "stored", np.zeros((4, 3, 3, 3), np.int8))
    broken.graph.node.remove(find(broken, "w_q"))


def pair(broken: onnx.ModelProto, before: str, tensor: str, reads: int = 0) -> None:
    ends = [store(broken, "scale", np.float32(1)), store(broken, "zero", np.int8(0))]
    quantise = node("QuantizeLinear", "q", [tensor, *ends])
    insert(broken, before, quantise, node("DequantizeLinear", "dq", ["q", *ends]), reads=reads)


def second_relu(broken: onnx.ModelProto) -> None:
    pair(broken, "pool", "relu")
    insert(broken, "pool", node("Relu", "again", ["dq"]))


def dynamic(broken: onnx.ModelProto) -> None:
    broken.graph.node.append(node("DynamicQuantizeLinear", "dynamic", ["relu"], "bytes", "step", "middle"))


def integer_convolution(broken: onnx.ModelProto) -> None:
    ends = ["x_scale", "x_q_zero"]
    inputs = ["x_q", *ends, store(broken, "stored", np.zeros((4, 3, 3, 3), np.int8)), *ends, *ends]
    broken.graph.node.append(node("QLinearConv", "integers", inputs))
    broken.graph.node.append(node("DequantizeLinear", "out", ["x_q", *ends]))


QUANTISED_BREACHES: list[tuple[Break, list[tuple[str, str]]]] = [
    (without_zero_point, [("x_q", "zero-point")]),
    (stored_as("x_q_zero", np.int8(3)), [("x_q", "zero-point")]),
    (stored_as("w_q_zero", np.array([0, 0, 3, 0], np.int8)), [("w_q", "zero-point")]),
    (stored_as("x_q_zero", np.uint8(0)), [("x_q", "zero-point")]),
    (stored_as("w_dq_zero", np.zeros(1, np.int8)), [("w_dq", "zero-point")]),
    (computed("x_q_zero", 2), [("x_q", "zero-point")]),
    (computed("x_scale", 1), [("x_q", "scale")]),
    (half_scale, [("x_q", "scale")]),
    *((stored_as("x_scale", np.float32(wrong)), [("x_q", "scale"), ("x_dq", "scale")]) for wrong in (0, -1)),
    *((stored_as("x_scale", np.float32(wrong)), [("x_q", "scale"), ("x_dq", "scale")]) for wrong in ("inf", "nan")),
    (stored_as("w_scale", np.array([1, 1, 0, 1], np.float32)), [("w_q", "scale"), ("w_dq", "scale")]),
    (per_channel_activation, [("x_q", "scale-shape"), ("x_dq", "scale-shape")]),
    (weight_axis(1, 3), [("w_q", "scale-shape"), ("w_dq", "scale-shape")]),
    (weight_axis(-3, 3), [("w_q", "scale-shape"), ("w_dq", "scale-shape")]),
    (weight_axis(None, 4), [("w_q", "scale-shape"), ("w_dq", "scale-shape")]),
    (weight_axis(0, 5), [("w_q", "scale-shape"), ("w_dq", "scale-shape")]),
    (weight_axis(0, 1), []),
    (weight_axis(-4, 4), []),
    (scale_of_its_own, [("x_dq", "pair")]),
    (pool_in_integers, [("x_q", "pair"), ("x_dq", "pair")]),
    (second_reader_of_integers, [("x_q", "pair")]),
    (integers_as_an_input, [("x_dq", "pair")]),
    (quantised_bias(np.int32), [("b_dq", "bias")]),
    (quantised_bias(np.int8), [("b_dq", "bias"), ("b_dq", "int8-weights")]),
    (integers_added, [("seven", "bias")]),
    (float_input, [("conv", "half-quantised")]),
    (float_weights, [("conv", "half-quantised")]),
    (computed_weights, [("conv", "half-quantised")]),
    (stored_integers, [("w_dq", "int8-weights")]),
    (lambda broken: pair(broken, "relu", "conv"), [("q", "relu")]),
    (lambda broken: pair(broken, "pool", "relu"), []),
    (second_relu, []),
    (lambda broken: pair(broken, "up", "pool"), [("up", "conv-transpose")]),
    (lambda broken: pair(broken, "up", "up_w", reads=1), [("up", "conv-transpose")]),
    (dynamic, [("dynamic", "operator-oriented")]),
    (integer_convolution, [("integers", "operator-oriented"), ("x_q", "pair")]),
]

BREACHES = [
    *((float_graph, *breach) for breach in FLOAT_BREACHES),
    *((quantised_graph, *breach) for breach in QUANTISED_BREACHES),
]


@pytest.mark.parametrize(("build", "break_it", "expected"), BREACHES)
def test_a_broken_rule_is_found_at_its_node_and_nothing_else_is(
    build: Build, break_it: Break, expected: list[tuple[str, str]]
) -> None:
    broken = build()
    break_it(broken)
    findings = check_graph(broken)
    assert sorted((finding.node, finding.rule) for finding in findings) == sorted(expected), findings
    assert all(finding.found and finding.fix for finding in findings)


def test_every_rule_is_broken_by_some_graph_above() -> None:
    found: set[str] = set()
    for build, break_it, _ in BREACHES:
        broken = build()
        break_it(broken)
        found |= {rule.__name__ for rule in RULES if list(rule(graph_from_model(broken)))}
    assert found == {rule.__name__ for rule in RULES}


def test_scales_may_be_constant_nodes() -> None:
    graph = quantised_graph()
    insert(graph, "x_q", node("Constant", "constant", [], value_float=0.5), reads=1)
    assert check_graph(graph) == []


def test_bfloat16_says_since_when() -> None:
    broken = float_graph()
    by_way_of(TensorProto.BFLOAT16)(broken)
    assert "since 10" in check_graph(broken)[0].found


def test_every_known_operator_is_one_of_onnx() -> None:
    for operator in OPERATORS:
        assert onnx.defs.get_schema(operator, 9 if operator == "Upsample" else 17).name == operator


def test_the_fp32_file_of_a_bundle_follows_the_rules(tiny_bundle: Path) -> None:
    assert check_graph(onnx.load(tiny_bundle / "model.fp32.onnx")) == []


def test_a_file_for_cpus_is_caught_by_its_zero_points(tiny_bundle: Path) -> None:
    findings = check_graph(onnx.load(tiny_bundle / "model.int8-cpu.onnx"))
    assert any(finding.rule == "zero-point" and "uint8" in finding.found for finding in findings)


EDITS = st.lists(
    st.tuples(st.sampled_from(["input", "output", "attribute", "node", "initializer"]), st.integers(0, 99))
)


@given(st.sampled_from(sorted(GOOD)), EDITS)
def test_a_graph_with_pieces_missing_is_checked_without_a_crash(name: str, edits: list[tuple[str, int]]) -> None:
    broken = GOOD[name]()
    for kind, number in edits:
        some = broken.graph.node[number % len(broken.graph.node)] if broken.graph.node else onnx.NodeProto()
        pieces = getattr(broken.graph if kind in ("node", "initializer") else some, kind)
        if pieces:
            del pieces[number % len(pieces)]
    assert isinstance(check_graph(broken), list)
