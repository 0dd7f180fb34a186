"""What an exported model's layers do on a calibration set: where each method would cut their ranges. For people to see.

Not imported where no model is looked at, for it needs onnx.
"""

from __future__ import annotations

from pathlib import Path

import onnx

from calibration.image_set import CalibrationSet
from calibration.pages import Cuts
from calibration.ranges import Histogram, observe, relu_outputs
from calibration.thresholds import METHODS, minmax
from fcn_edge.errors import ModelError, first_line
from fcn_edge.manifest import ModelFacts

FP32 = "model.fp32.onnx"  # of a bundle


def fp32_graph(model: Path) -> tuple[Path, tuple[int, int]]:
    """The fp32 file of a bundle, or the file itself, and the size of its frames; raises ModelError."""
    path = model / FP32 if model.is_dir() else model
    if not path.is_file():
        raise ModelError(f"wanted an fp32 model, found no file {path}; check the path")
    try:
        opened = onnx.load(path)
    except Exception as error:  # protobuf's share no base with Python's
        raise ModelError(f"{path}: wanted an ONNX file, found: {first_line(error)}; export it again") from None
    facts = ModelFacts.from_metadata({entry.key: entry.value for entry in opened.metadata_props}, path)
    if facts.precision != "fp32":
        raise ModelError(f"{path}: wanted the fp32 file, found {facts.precision}; give the bundle, or its {FP32}")
    if not relu_outputs(opened.graph):
        raise ModelError(f"{path}: wanted layers with a ReLU, found none to calibrate; export an FCN of fcn-edge")
    return path, _frame_size(opened.graph, path)


def _frame_size(graph: onnx.GraphProto, path: Path) -> tuple[int, int]:
    shapes = [[side.dim_value for side in entry.type.tensor_type.shape.dim] for entry in graph.input]
    match shapes:
        case [[1, int(height), int(width), 3]] if height > 0 and width > 0:
            return height, width
    raise ModelError(f"{path}: wanted one input of frames (1, H, W, 3), found {shapes}; export it again")


def cuts(path: Path, pictures: CalibrationSet, size_hw: tuple[int, int]) -> Cuts:
    """Run the graph over the set; raises SourceError, ModelError."""
    *_, histograms = observe(path, pictures, size_hw)
    return {layer: _cuts_of(histogram) for layer, histogram in histograms.items()}


def _cuts_of(histogram: Histogram) -> dict[str, float]:
    return {name: method(histogram) if minmax(histogram) else 0.0 for name, method in METHODS.items()}
