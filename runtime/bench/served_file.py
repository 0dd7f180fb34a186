"""The file behind a model that was settled: it alone, or of a bundle the ONNX file or the engine that is served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fcn_edge.manifest import BundleFile, Manifest, read_manifest
from runtime.engine_facts import ENGINE_SUFFIX, engine_path


@dataclass(frozen=True)
class ServedFile:
    """An ONNX file or a TensorRT engine, and what its bundle tells: None where it lies in none."""

    path: Path
    manifest: Manifest | None = None
    onnx: BundleFile | None = None  # the file itself, or what its engine is named after

    @property
    def is_engine(self) -> bool:
        return self.path.suffix == ENGINE_SUFFIX


def served_file(model: Path, engine: str, precision: str) -> ServedFile | None:
    """None where a bundle lacks the precision; where it lacks the engine for tensorrt, the ONNX file to build it of.

    Raises ModelError for a folder that is no bundle.
    """
    if not model.is_dir():
        return ServedFile(model)
    manifest, plan = read_manifest(model), engine_path(model, precision)
    onnx = manifest.file(precision)
    if engine == "tensorrt" and plan.exists():
        return ServedFile(plan, manifest, onnx)
    return ServedFile(model / onnx.name, manifest, onnx) if onnx else None
