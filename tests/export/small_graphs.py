"""Small ONNX graphs that follow TensorRT's rules, built so that a test can break one rule at a time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fcn_edge.files import json_text
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import METADATA_KEY, ModelFacts

SEED = np.random.default_rng(0)
WEIGHTS = {
    "w": SEED.normal(size=(4, 3, 3, 3)).astype(np.float32),
    "b": np.zeros(4, np.float32),
    "up_w": SEED.normal(size=(4, 4, 2, 2)).astype(np.float32),
}


def node(operation: str, name: str, inputs: Iterable[str], *outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node whose output, unless said otherwise, is called as itself."""
    return helper.make_node(operation, list(inputs), list(outputs) or [name], name=name, **attributes)


def float_graph() -> onnx.ModelProto:
    """A uint8 frame to a uint8 mask by way of a convolution, a pool and a deconvolution."""
    return model(
        [
            node("Cast", "enter", ["frame"], to=TensorProto.FLOAT),
            node("Transpose", "turn", ["enter"], perm=[0, 3, 1, 2]),
            node("Conv", "conv", ["turn", "w", "b"], pads=[1, 1, 1, 1]),
            *_rest(),
        ],
        WEIGHTS,
    )


def quantised_graph() -> onnx.ModelProto:
    """The same with an int8 convolution: a pair at its input, and at its weights per output channel."""
    scales = {
        "x_scale": np.float32(0.5),
        "w_scale": np.full(4, 0.25, np.float32),
        **{f"{end}_zero": np.int8(0) for end in ("x_q", "x_dq")},
        **{f"{end}_zero": np.zeros(4, np.int8) for end in ("w_q", "w_dq")},
    }
    return model(
        [
            node("Cast", "enter", ["frame"], to=TensorProto.FLOAT),
            node("Transpose", "turn", ["enter"], perm=[0, 3, 1, 2]),
            node("QuantizeLinear", "x_q", ["turn", "x_scale", "x_q_zero"]),
            node("DequantizeLinear", "x_dq", ["x_q", "x_scale", "x_dq_zero"]),
            node("QuantizeLinear", "w_q", ["w", "w_scale", "w_q_zero"], axis=0),
            node("DequantizeLinear", "w_dq", ["w_q", "w_scale", "w_dq_zero"], axis=0),
            node("Conv", "conv", ["x_dq", "w_dq", "b"], pads=[1, 1, 1, 1]),
            *_rest(),
        ],
        WEIGHTS | scales,
    )


def half_graph() -> onnx.ModelProto:
    """The same with a float16 convolution between casts."""
    return model(
        [
            node("Cast", "enter", ["frame"], to=TensorProto.FLOAT16),
            node("Transpose", "turn", ["enter"], perm=[0, 3, 1, 2]),
            node("Conv", "half_conv", ["turn", "w", "b"], pads=[1, 1, 1, 1]),
            node("Cast", "conv", ["half_conv"], to=TensorProto.FLOAT),
            *_rest(),
        ],
        WEIGHTS | {name: WEIGHTS[name].astype(np.float16) for name in ("w", "b")},
    )


def _rest() -> list[onnx.NodeProto]:
    return [
        node("Relu", "relu", ["conv"]),
        node("MaxPool", "pool", ["relu"], kernel_shape=[2, 2], strides=[2, 2]),
        node("ConvTranspose", "up", ["pool", "up_w"], strides=[2, 2]),
        node("ArgMax", "argmax", ["up"], axis=1, keepdims=0),
        node("Cast", "widen", ["argmax"], to=TensorProto.FLOAT),
        node("Cast", "leave", ["widen"], "mask", to=TensorProto.UINT8),
    ]


def model(nodes: list[onnx.NodeProto], constants: dict[str, Any]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, 8, 8, 3])],
        [helper.make_tensor_value_info("mask", TensorProto.UINT8, [1, 8, 8])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def find(broken: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(found for found in broken.graph.node if found.name == name)


def store(broken: onnx.ModelProto, name: str, value: Any) -> str:
    """Add or replace a constant; its name."""
    kept = [constant for constant in broken.graph.initializer if constant.name != name]
    del broken.graph.initializer[:]
    broken.graph.initializer.extend([*kept, numpy_helper.from_array(np.asarray(value), name)])
    return name


def insert(broken: onnx.ModelProto, before: str, *added: onnx.NodeProto, reads: int = 0) -> None:
    """Put nodes in front of one, whose input number `reads` then is the last one's first output."""
    place = next(number for number, found in enumerate(broken.graph.node) if found.name == before)
    broken.graph.node[place].input[reads] = added[-1].output[0]
    nodes = list(broken.graph.node)
    del broken.graph.node[:]
    broken.graph.node.extend([*nodes[:place], *added, *nodes[place:]])


def save_exported(path: Path, content: onnx.ModelProto) -> Path:
    """With the metadata by which a session knows an exported file."""
    facts = ModelFacts(LabelSet(("road", "rest"), ((128, 64, 128), (0, 0, 0))), (8, 8), "int8")
    helper.set_model_props(content, {METADATA_KEY: json_text(facts.to_json())})
    path.write_bytes(content.SerializeToString())
    return path
