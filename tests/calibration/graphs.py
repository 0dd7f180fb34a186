"""Small graphs of convolutions with ReLUs that carry our metadata, to be observed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from fcn_edge.labels import LabelSet
from fcn_edge.manifest import METADATA_KEY, ModelFacts

FACTS = ModelFacts(LabelSet(("road",), ((1, 2, 3),)), (8, 8), "fp32")


def chain(weights: Sequence[NDArray[np.float32]], size_hw: tuple[int, int], *, relu: bool = True) -> onnx.ModelProto:
    """A frame through 1x1 convolutions layer0, layer1 ... of these weights (out, in of a group), each with a ReLU."""
    height, width = size_hw
    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["x"], perm=[0, 3, 1, 2]),
    ]
    constants, shapes, last, channels = [], [], "x", 3
    for number, weight in enumerate(weights):
        constants.append(numpy_helper.from_array(weight[:, :, None, None], f"w{number}"))
        inputs, group = [last, f"w{number}"], channels // weight.shape[1]
        nodes.append(helper.make_node("Conv", inputs, [f"conv{number}"], name=f"layer{number}", group=group))
        last, channels = f"conv{number}", len(weight)
        if relu:
            nodes.append(helper.make_node("Relu", [last], [f"relu{number}"]))
            last = f"relu{number}"
        shapes.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, len(weight), height, width]))
    nodes.append(helper.make_node("ReduceMax", [last], ["mask"], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, height, width, 3])],
        [helper.make_tensor_value_info("mask", TensorProto.FLOAT, None)],
        constants,
        value_info=shapes,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def save(model: onnx.ModelProto, path: Path, facts: ModelFacts | None = FACTS) -> Path:
    if facts:
        helper.set_model_props(model, {METADATA_KEY: json.dumps(facts.to_json())})
    onnx.save(model, path)
    return path
