"""What an engine's inspector tells, in the forms of TensorRT 8, 10 and 11, read into a proof that INT8 is INT8.

The samples are written by hand after the forms that TensorRT's documents and NVIDIA's stored dumps show.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from export.layer_report import UNTOLD, LayerReport, layer_report

Row = dict[str, Any]


def of_8(name: str, type_: str, weights: str | None = None, kind: str = "CaskConvolution") -> Row:
    """A layer as TensorRT 8.5 tells it: a sentence for the type, nodes in the name alone."""
    told = f"Thirty-two wide channel vectorized row major {type_} format"
    row = {"Name": name, "LayerType": kind, "Inputs": [{"Name": "a", "Format/Datatype": told}]}
    row["Outputs"] = [{"Name": "b", "Format/Datatype": told}]
    return {**row, **({"Weights": {"Type": weights, "Count": 9}} if weights else {})}


def of_10(name: str, type_: str, weights: str | None = None, kind: str = "CaskConvolution", nodes: str = "") -> Row:
    """As TensorRT 10 does: a word for the type, and metadata with the nodes between control characters."""
    metadata = "\x1e".join(f"[ONNX Layer: {node}]" for node in nodes.split())
    row = {"Name": name, "LayerType": kind, "Metadata": metadata, "StreamId": 0}
    row |= {"Inputs": [{"Name": "a", "Format/Datatype": type_}], "Outputs": [{"Name": "b", "Format/Datatype": type_}]}
    return {**row, **({"Weights": {"Type": weights, "Count": 9}} if weights else {})}


def of_11(name: str, type_: str, weights: str | None = None, kind: str = "CaskConvolution", nodes: str = "") -> Row:
    """As TensorRT 11 does: format and type apart."""
    row = of_10(name, type_, weights, kind, nodes)
    ends = [{"Name": "a", "Format": "Row major linear format (kLINEAR)", "Datatype": type_}]
    return {**row, "Inputs": ends, "Outputs": ends}


def report(*rows: Row | str, wanted: tuple[str, ...] = ("conv1_1",), **more: Any) -> LayerReport:
    return layer_report(json.dumps({"Layers": list(rows), **more}), wanted)


FUSED = "conv1_1.weight_rounded + conv1_1.weight_quantised + conv1_1 + node_relu"


@pytest.mark.parametrize(
    ("row", "precision"),
    [
        (of_8(FUSED, "Int8", "Int8"), "int8"),
        (of_8(FUSED, "FP16", "Half"), "fp16"),
        (of_8("conv1_1 + PWN(node_relu)", "FP32", "Float"), "fp32"),
        (of_8(FUSED, "Int8"), "int8"),
        (of_10(FUSED, "Int8", "Int8", nodes="conv1_1.weight_quantised conv1_1 node_relu"), "int8"),
        (of_10("__myl_ConvRelu_myl0_3", "Int8", kind="fusion", nodes="conv1_1 node_relu"), "int8"),
        (of_10("__myl_ConvRelu_myl0_3", "Half", kind="kgen", nodes="conv1_1 node_relu"), "fp16"),
        (of_10("__myl_ConvRelu_myl0_3", "BFloat16", kind="kgen", nodes="conv1_1"), "bf16"),
        (of_11(FUSED, "Int8", "Int8", nodes="conv1_1"), "int8"),
        (of_11("__myl_ConvRelu_myl0_3", "Float", kind="fusion", nodes="conv1_1"), "fp32"),
    ],
)
def test_a_convolution_is_found_by_name_or_metadata_with_the_type_it_computes_in(row: Row, precision: str) -> None:
    assert report(row).wanted == {"conv1_1": precision}


def test_a_pool_fused_behind_does_not_hide_the_weights() -> None:
    row = {
        **of_8(FUSED + " + node_max_pool2d", "Int8", kind="ConvActPool"),
        "ConvWeights": {"Type": "Int8", "Count": 9},
    }
    (layer,) = report(row).layers
    assert layer.weights == layer.precision == "int8"


def test_a_convolution_that_reads_int8_but_multiplies_floats_is_no_int8() -> None:
    assert report(of_8(FUSED, "Int8", "Float")).missed == {"conv1_1": "fp32"}


def test_a_type_in_words_is_not_mistaken_for_one_that_it_contains() -> None:
    first = {"Inputs": [{"Format/Datatype": "Row major linear UInt8 format"}]}
    assert report({**of_8("enter", "Int8", kind="CaskConvolution"), **first}).layers[0].input == "uint8"


@pytest.mark.parametrize("name", ["conv1_10", "conv1_1.weight_quantised", "xconv1_1", "conv1_1_copy + node_relu"])
def test_a_name_counts_whole_and_not_as_a_part_of_another(name: str) -> None:
    assert report(of_8(name, "Int8", "Int8")).wanted == {"conv1_1": UNTOLD}


@pytest.mark.parametrize("form", [of_8, of_10, of_11])
def test_a_layer_that_only_moves_numbers_is_no_proof(form: Callable[..., Row]) -> None:
    """Its name holds the names of the layer that it serves."""
    moved = form(f"Reformatting CopyNode for Input Tensor 0 to {FUSED}", "Int8", kind="Reformat")
    assert report(moved, form(FUSED, "Float", "Float")).wanted == {"conv1_1": "fp32"}
    assert report(moved).wanted == {"conv1_1": UNTOLD}


def test_of_several_layers_that_hold_a_convolution_the_one_with_weights_tells() -> None:
    helper = of_10("__myl_Cast_myl0_1", "Float", kind="kgen", nodes="conv1_1")
    assert report(helper, of_10(FUSED, "Int8", "Int8", nodes="conv1_1")).wanted == {"conv1_1": "int8"}


def test_weights_of_no_number_tell_nothing() -> None:
    row = {**of_8(FUSED, "Int8"), "Weights": {"Type": "Float", "Count": 0}}
    assert report(row).wanted == {"conv1_1": "int8"}


def test_an_engine_built_without_details_proves_nothing_and_says_so() -> None:
    found = report("Reformatting CopyNode for Input Tensor 0 to conv1_1", "conv1_1 + node_relu")
    assert len(found.layers) == 2 and found.wanted == {"conv1_1": UNTOLD}
    assert found.line() == "INT8: 0 of 1 convolutions that the file asks for; untold by TensorRT: conv1_1"


@pytest.mark.parametrize("inspected", ["", "no JSON", "[]", "{}", '{"Layers": 3}', '{"Layers": [null, 4, []]}', "null"])
def test_whatever_an_inspector_says_it_is_read_without_failing(inspected: str) -> None:
    assert layer_report(inspected, ["conv1_1"]).held == 0


def test_bare_control_characters_in_the_json_are_read() -> None:
    inspected = '{"Layers": [{"Name": "x", "LayerType": "conv", "Metadata": "[ONNX Layer: a]\x1e[ONNX Layer: b]",'
    inspected += ' "Inputs": [{"Datatype": "Int8"}]}]}'
    assert layer_report(inspected, ["a", "b"]).held == 2


def test_dimensions_that_depend_on_the_input_tell_no_type() -> None:
    row = {"Name": "conv1_1", "LayerType": "conv", "Inputs": [{"Format/Datatype": "N/A due to dynamic shapes"}]}
    assert report(row).wanted == {"conv1_1": UNTOLD}


def test_the_line_tells_all_is_well_in_few_words() -> None:
    rows = [of_8(name, "Int8", "Int8") for name in ("conv1_1", "fc6")]
    assert report(*rows, wanted=("conv1_1", "fc6")).line() == "INT8: 2 of 2 convolutions that the file asks for"


def test_the_line_names_those_that_run_in_another_type() -> None:
    rows = [of_8("conv1_1", "FP32", "Float"), of_8("conv1_2", "Int8", "Int8"), of_8("fc6", "FP32", "Float")]
    told = report(*rows, wanted=("conv1_1", "conv1_2", "fc6", "fc7")).line()
    assert told == "INT8: 1 of 4 convolutions that the file asks for; in fp32: conv1_1, fc6; untold by TensorRT: fc7"


def test_of_a_float_file_the_line_counts_layers() -> None:
    rows = [of_8(name, "FP16", "Half") for name in "ab"] + [of_8("c", "FP32")]
    assert report(*rows, wanted=()).line() == "layers: 2 fp16, 1 fp32"


def test_the_json_counts_and_lists_every_layer_with_its_types_and_kernel() -> None:
    row = {**of_8(FUSED, "Int8", "Int8"), "TacticName": "sm80_i8i8_i8i32"}
    content = report(row, of_8("up", "FP32", kind="Deconvolution")).to_json()
    assert json.loads(json.dumps(content)) == content
    assert content["by_precision"] == {"int8": 1, "fp32": 1}
    assert (content["int8_wanted"], content["int8_held"], content["int8_missed"]) == (1, 1, {})
    first = content["layers"][0]
    assert first == {
        "name": FUSED,
        "kind": "CaskConvolution",
        "input": "int8",
        "weights": "int8",
        "output": "int8",
        "tactic": "sm80_i8i8_i8i32",
        "precision": "int8",
    }


def test_what_a_file_calls_its_nodes_cannot_command_a_terminal() -> None:
    found = report(of_8("\x1b[31mred", "Int8"), wanted=("\x1b[31mred",))
    assert "\x1b" not in found.line() + json.dumps(found.to_json()["layers"])
