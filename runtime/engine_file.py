"""What is known of an engine file before TensorRT sees it: by its sidecar, or by the bundle in which it lies."""

from __future__ import annotations

from pathlib import Path

from fcn_edge.errors import ModelError, UsageError
from fcn_edge.manifest import MANIFEST, BundleFile, Manifest, ModelFacts, read_manifest
from runtime.engine_facts import ENGINE_SUFFIX, BuiltWith, EngineFacts, engine_path, sidecar_of
from runtime.engine_origin import require_plan
from runtime.preflight import require_servable


def require_tensorrt(path: Path, engine: str) -> None:
    """Raises UsageError for an engine file that is to be opened on anything else."""
    if engine not in ("auto", "tensorrt"):
        raise UsageError(
            f"{path}: wanted tensorrt for an engine file, found --engine {engine}; give it the bundle or the ONNX file"
        )


def servable_facts(engine: Path, *, trust: bool = False) -> EngineFacts:
    """The facts of an engine that may be opened here; raises ModelError. Of a bundle it must be the bundle's own."""
    manifest = read_manifest(engine.parent) if (engine.parent / MANIFEST).is_file() else None
    file = origin_in(manifest, engine)
    if trust and not sidecar_of(engine).exists():
        require_plan(engine)
        return _foreign_facts(engine, manifest, file)
    return require_servable(engine, onnx_sha256=file.sha256 if file else None, trust=trust)


def origin_in(manifest: Manifest | None, engine: Path) -> BundleFile | None:
    """The ONNX file of the bundle that the engine is named after."""
    files = manifest.files if manifest else ()
    return next((file for file in files if engine == engine_path(engine.parent, file.precision)), None)


def _foreign_facts(engine: Path, manifest: Manifest | None, file: BundleFile | None) -> EngineFacts:
    """Of an engine that others built, trtexec for one: classes and size from the manifest, of the rest nothing."""
    if manifest is None or file is None:
        raise ModelError(
            f"{engine}: wanted {sidecar_of(engine).name}, or the manifest of a bundle, to tell its classes, found "
            f"neither; lay it into its bundle as model.PRECISION{ENGINE_SUFFIX}"
        )
    model = ModelFacts(manifest.labels, manifest.size_hw, file.precision)
    unknown = BuiltWith("", "", "", False, "", "", "")
    return EngineFacts(model, "", engine.stat().st_size, file.name, file.sha256, unknown, (), {}, {})
