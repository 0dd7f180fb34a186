"""A recipe makes a file out of the fp32 graph; a prover opens that file where it will be served and compares it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx

from calibration.ranges import relu_outputs
from export.byte_entry import with_byte_entry
from export.half import halved
from export.onnx_export import save
from export.quantize import quantised
from export.score import open_artifact
from fcn_edge.datasets import Dataset
from fcn_edge.manifest import ModelFacts
from fcn_edge.scoring import Answers, Comparison, answer, compare

PRECISIONS = ("fp32", "fp16", "int8", "int8-cpu")
PROXIED = ("fp16", "int8")  # TensorRT's; a CPU computes the same graph until a device's engine is scored


@dataclass(frozen=True)
class Recipe:
    """What becomes of the fp32 graph."""

    precision: str
    ceilings: Mapping[str, float] = field(default_factory=dict)  # INT8: layer -> the largest value to show
    kept: frozenset[str] = frozenset()  # layers that stay float32

    def graph(self, fp32: onnx.ModelProto) -> onnx.ModelProto:
        if self.precision == "fp32":
            return fp32
        if self.precision == "fp16":
            return halved(fp32, self.kept)
        int8 = quantised(fp32, self.precision, self.ceilings, self.kept)
        return with_byte_entry(int8) if self.precision == "int8-cpu" else int8

    def keeping(self, layers: set[str]) -> Recipe:
        return replace(self, kept=self.kept | layers)


@dataclass(frozen=True)
class Proof:
    """How a file did, and in what."""

    comparison: Comparison
    answers: Answers
    device: str
    engine: str  # by its name in `runtime.engines.ENGINES`


class Prover:
    """Proves files on one set of pictures against one reference."""

    def __init__(self, fp32: Path, facts: ModelFacts, dataset: Dataset, reference: Answers, engine: str) -> None:
        self.fp32_path, self.fp32, self.facts = fp32, onnx.load(fp32), facts
        self.dataset, self.reference, self.engine = dataset, reference, engine

    def on(self, dataset: Dataset, reference: Answers) -> Prover:
        """The same graph on other pictures."""
        other = copy(self)
        other.dataset, other.reference = dataset, reference
        return other

    @property
    def layers(self) -> list[str]:
        """What can be computed in another precision, in the network's order."""
        return list(relu_outputs(self.fp32.graph))

    def write(self, recipe: Recipe, path: Path) -> None:
        save(recipe.graph(self.fp32), replace(self.facts, precision=recipe.precision), path)

    def prove(self, path: Path, precision: str, indices: Sequence[int] | None = None, engine: str = "") -> Proof:
        """Score one file on all pictures, or on those with the given numbers; on another engine than usual if named."""
        reference = self.reference if indices is None else self.reference.part(indices)
        engine = engine or engine_for(precision, self.engine)
        with open_artifact(path, engine) as artifact:
            answers = answer(artifact.segment, self.dataset, f"scoring {path.name}", reference.indices)
        return Proof(compare(answers, reference), answers, artifact.description, engine)

    def tried(self, recipe: Recipe, indices: Sequence[int] | None = None) -> Comparison:
        """Score a recipe without keeping its file."""
        with tempfile.TemporaryDirectory(dir=self.fp32_path.parent) as scratch:
            path = Path(scratch) / f"model.{recipe.precision}.onnx"
            self.write(recipe, path)
            return self.prove(path, recipe.precision, indices).comparison


def engine_for(precision: str, engine: str) -> str:
    """TensorRT's files on onnxruntime, which computes INT8 pair by pair as it stands in the file.

    OpenVINO rounds symmetric int8 in its own way and computes float16 in float32. Of float16 onnxruntime rounds what
    is stored between layers but convolves in float32, so that overflow shows in calibration alone (`half.py`).
    """
    return "onnxruntime" if precision in PROXIED else engine
