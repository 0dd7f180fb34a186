"""A stand-in for a machine that builds and opens engines: what is tested with it is what becomes of their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export import engine_proof
from export.engine_build import BuildOptions, BuiltEngine
from export.engine_proof import Gate, ProvedEngine, proved_engine
from export.engine_reference import MaskReference
from export.layer_report import LayerReport
from fcn_edge.datasets import Dataset
from fcn_edge.files import sha256_of
from fcn_edge.manifest import ModelFacts
from fcn_edge.scoring import answer
from runtime.engine_facts import BuiltWith, EngineFacts
from runtime.segmenter import Segmenter
from runtime.session import open_session

Infer = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
BUILT_WITH = BuiltWith("10.3.0", "Orin", "8.7", True, "12.6", "aarch64", "0.1.0")


class Workshop:
    """A bundle's folder in which engines are "built": a plan of a few bytes, which computes what its ONNX file does."""

    def __init__(self, folder: Path, tiny: Path, patch: pytest.MonkeyPatch) -> None:
        patch.setattr(engine_proof, "engine_from_onnx", self.build)
        patch.setattr(engine_proof, "TrtSession", self.open)
        self.folder, self.tiny = folder, tiny
        self.engine = folder / "model.int8.engine"
        self.plan = b"plan"
        self.missed: dict[str, str] = {}
        self.disturbed: dict[str, Infer] = {}  # precision -> what becomes of its masks
        self.failing: dict[str, BaseException] = {}  # precision -> how its build ends
        self.options: list[BuildOptions] = []
        self.opened: list[Path] = []

    def build(self, onnx: Path, engine: Path, options: BuildOptions) -> BuiltEngine:
        self.options.append(options)
        engine.write_bytes(self.plan)
        with open_session(onnx, "onnxruntime") as session:
            model: ModelFacts = session.facts
        if model.precision in self.failing:
            raise self.failing[model.precision]
        digests = (sha256_of(engine), len(self.plan), onnx.name, sha256_of(onnx))
        report = LayerReport((), {"conv1_1": "int8", **self.missed} if model.precision == "int8" else {})
        facts = EngineFacts(model, *digests, BUILT_WITH, (), options.to_json(), report.to_json())
        return BuiltEngine(engine, facts, report, 12.5)

    def open(self, engine: Path, facts: EngineFacts) -> Any:
        assert sha256_of(engine) == facts.engine_sha256 and not facts.scores
        self.opened.append(engine)
        onnx = engine.parent.parent / facts.onnx_name  # the engine is still aside
        session: Any = open_session(onnx if onnx.is_file() else self.tiny / facts.onnx_name, "onnxruntime")
        if facts.model.precision in self.disturbed:
            infer, disturbed = session.infer, self.disturbed[facts.model.precision]
            session.infer = lambda frame: disturbed(infer(frame))
        session.device = "TensorRT 10.3.0, Orin"
        return session

    def make(self, gate: Gate) -> ProvedEngine:
        return proved_engine(self.tiny / "model.int8.onnx", self.engine, BuildOptions(), gate)

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())


def masks_of(bundle: Path, data: Dataset) -> MaskReference:
    with open_session(bundle / "model.int8.onnx", "onnxruntime") as session:
        answers = answer(Segmenter(session).segment, data, "reference")
    return MaskReference(data, answers, "model.fp32.onnx on a CPU")


def wrong(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every class taken for the next one."""
    return (mask + 1) % 11
