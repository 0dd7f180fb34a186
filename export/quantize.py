"""From the fp32 graph to INT8 for x86 CPUs: uint8 activations, int8 weights per channel (U8S8), as VNNI multiplies.

A file for TensorRT needs other rules (symmetric int8, no quantised bias); one file cannot be fast on both.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

from calibration.image_set import CalibrationSet
from calibration.ranges import FrameReader
from export.onnx_export import INPUT, save
from fcn_edge.manifest import ModelFacts
from fcn_edge.progress import progress

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "entropy": CalibrationMethod.Entropy,
    "percentile": CalibrationMethod.Percentile,
}

# Scores decide by small differences and cost next to nothing.
KEPT_IN_FLOAT = "score"


def int8_cpu_from_onnx(fp32: Path, pictures: CalibrationSet, method: str, facts: ModelFacts, path: Path) -> None:
    """Quantise convolutions, their ReLUs and the pools; score layers, upsampling and argmax stay float."""
    graph = onnx.load(fp32).graph
    scores = [node.name for node in graph.node if node.op_type == "Conv" and node.name.startswith(KEPT_IN_FLOAT)]
    with (
        _quiet(),
        tempfile.TemporaryDirectory(dir=path.parent) as scratch,
        progress("calibrating", len(pictures)) as step,
    ):
        quantised = Path(scratch) / "quantised.onnx"
        quantize_static(
            fp32,
            quantised,
            FrameReader(pictures, INPUT, facts.size_hw, step),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Relu", "MaxPool"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=scores,
            calibrate_method=METHODS[method],
            # Picture by picture; otherwise histograms hold the activations of all pictures at once.
            extra_options={"CalibStridedMinMax": 1},
        )
        save(onnx.load(quantised), facts, path)


@contextmanager
def _quiet() -> Iterator[None]:
    """onnxruntime advises a pre-processing whose work (folding batch norm) is done before the graph is exported."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
