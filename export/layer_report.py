"""Which type each layer of an engine computes in, as TensorRT's inspector tells it: the proof that INT8 is INT8.

A quantised file only asks. Where TensorRT finds no INT8 kernel, or a faster one in float, it computes in float and says
nothing. The inspector's JSON differs from version to version; all forms seen in 8.x, 10.x and 11.x are read:

    8.x           "Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"
    10.x          "Format/Datatype": "Int8", "Metadata": "[ONNX Layer: conv1_1]\\x1e[ONNX Layer: node_relu]"
    11.x          "Datatype" and "Format" apart
    any of them   a layer is a bare name where the engine was built without details
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from fcn_edge.errors import printable

UNTOLD = "untold"  # the precision of what the inspector does not speak of

# What TensorRT calls types, in any version, in the middle of a sentence or alone.
TYPES = {
    "int8": "int8",
    "uint8": "uint8",
    "half": "fp16",
    "fp16": "fp16",
    "float16": "fp16",
    "bf16": "bf16",
    "bfloat16": "bf16",
    "fp8": "fp8",
    "float": "fp32",
    "fp32": "fp32",
    "float32": "fp32",
    "int32": "int32",
    "int64": "int64",
    "bool": "bool",
}
TYPE = re.compile(rf"\b({'|'.join(TYPES)})\b", re.IGNORECASE)
TYPE_KEYS = ("Datatype", "DataType", "Format/Datatype", "Format")  # of an input or output, the plainest first
WEIGHT_KEYS = ("Weights", "ConvWeights")  # the latter where a pool is fused behind

# A fused layer's name is "conv1_1.weight + conv1_1.weight_quantised + conv1_1 + PWN(node_relu)"; its metadata, where
# there is any, names the nodes of the ONNX file one by one, between control characters.
JOINED = re.compile(r" \+ |[\x1e\x1f]")
FUSED_POINTWISE = re.compile(r"^PWN\((.*)\)$")
ONNX_NODE = re.compile(r"\[ONNX Layer: (.*?)\](?=[\x1e\x1f\s\[]|$)")

# Layers that only move numbers. Their names may hold those of the layers they serve.
MOVERS = ("reformat", "noop", "shuffle", "constant", "signal", "wait", "quantize", "dequantize", "cast", "copy")


@dataclass(frozen=True)
class Layer:
    """One layer of an engine. Types are ours: int8, fp16, fp32...; empty where none is told."""

    name: str
    kind: str  # TensorRT's: CaskConvolution
    input: str
    weights: str
    output: str
    tactic: str  # the kernel's own name

    @property
    def precision(self) -> str:
        """What it multiplies in: the type of its weights, or of what it reads where it has none of its own."""
        return self.weights or self.input or UNTOLD


@dataclass(frozen=True)
class LayerReport:
    """All layers, and what became of the convolutions that the file asks to be INT8."""

    layers: tuple[Layer, ...]
    wanted: dict[str, str]  # convolution -> the precision it got

    @property
    def held(self) -> int:
        """How many of the wanted run in INT8."""
        return sum(precision == "int8" for precision in self.wanted.values())

    @property
    def missed(self) -> dict[str, str]:
        return {name: precision for name, precision in self.wanted.items() if precision != "int8"}

    def line(self) -> str:
        """For people. "INT8: 13 of 15 convolutions that the file asks for; in fp32: conv1_1, conv5_3"."""
        if not self.wanted:
            counts = Counter(layer.precision for layer in self.layers)
            return "layers: " + ", ".join(f"{count} {name}" for name, count in counts.most_common())
        missed = "".join(f"; {fate}" for fate in _fates(self.missed))
        return f"INT8: {self.held} of {len(self.wanted)} convolutions that the file asks for{missed}"

    def to_json(self) -> dict[str, Any]:
        return {
            "by_precision": dict(Counter(layer.precision for layer in self.layers)),
            "int8_wanted": len(self.wanted),
            "int8_held": self.held,
            "int8_missed": self.missed,
            "layers": [{**asdict(layer), "precision": layer.precision} for layer in self.layers],
        }


def _fates(missed: dict[str, str]) -> Iterator[str]:
    for precision in sorted(set(missed.values())):
        names = ", ".join(printable(name) for name, found in missed.items() if found == precision)
        yield f"untold by TensorRT: {names}" if precision == UNTOLD else f"in {precision}: {names}"


def layer_report(inspected: str, int8_convolutions: Sequence[str]) -> LayerReport:
    """From the inspector's JSON of a whole engine, and the names of the file's quantised convolutions."""
    told = list(_told(inspected))
    layers = tuple(_layer(row) for row in told)
    nodes = [_nodes(row) for row in told]
    return LayerReport(
        layers,
        {
            name: _precision_of([layer for layer, named in zip(layers, nodes, strict=True) if name in named])
            for name in int8_convolutions
        },
    )


def _told(inspected: str) -> Iterator[dict[str, Any]]:
    """A row per layer; what is no JSON of the inspector has none."""
    try:
        content = json.loads(inspected, strict=False)  # names and metadata may hold bare control characters
    except ValueError:
        return
    rows = content.get("Layers") if isinstance(content, dict) else None
    for row in rows if isinstance(rows, list) else ():
        yield row if isinstance(row, dict) else {"Name": str(row)}


def _layer(row: dict[str, Any]) -> Layer:
    return Layer(
        name=printable(" + ".join(JOINED.split(str(row.get("Name", "")))), 400),
        kind=_kind(row),
        input=_tensor_type(row.get("Inputs")),
        weights=next((found for key in WEIGHT_KEYS if (found := _weight_type(row.get(key)))), ""),
        output=_tensor_type(row.get("Outputs")),
        tactic=printable(str(row.get("TacticName", ""))),
    )


def _kind(row: dict[str, Any]) -> str:
    return printable(str(row.get("LayerType") or row.get("ParameterType") or ""))


def _tensor_type(tensors: Any) -> str:
    """Of the first tensor that tells one."""
    rows = [row for row in tensors if isinstance(row, dict)] if isinstance(tensors, list) else []
    return next((found for row in rows for key in TYPE_KEYS if (found := _type(row.get(key)))), "")


def _weight_type(weights: Any) -> str:
    return _type(weights.get("Type")) if isinstance(weights, dict) and weights.get("Count", 1) else ""


def _type(told: Any) -> str:
    found = TYPE.search(told) if isinstance(told, str) else None
    return TYPES[found.group().lower()] if found else ""


def _nodes(row: dict[str, Any]) -> frozenset[str]:
    """The nodes of the ONNX file that a layer computes; of a layer that only moves numbers, none."""
    if any(mover in _kind(row).lower() for mover in MOVERS):
        return frozenset()
    parts = [FUSED_POINTWISE.sub(r"\1", part) for part in JOINED.split(str(row.get("Name", "")))]
    return frozenset([*parts, *ONNX_NODE.findall(str(row.get("Metadata", "")))])


def _precision_of(layers: Sequence[Layer]) -> str:
    """Of the layers that hold one convolution, the one with weights tells; without any, the first that tells types."""
    with_weights = [layer.precision for layer in layers if layer.weights]
    told = [layer.precision for layer in layers if layer.precision != UNTOLD]
    return next(iter(with_weights + told), UNTOLD)
