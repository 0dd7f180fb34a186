"""What engines are built of: the files of a bundle that are for TensorRT, or one ONNX file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from export.engine_build import PRECISIONS
from fcn_edge.errors import UsageError, printable
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import Manifest, read_manifest
from runtime.engine_facts import ENGINE_SUFFIX
from runtime.model_file import ONNX_SUFFIX, onnx_facts, onnx_of, other_kind

ALL = "all"  # those of PRECISIONS that a bundle holds


@dataclass(frozen=True)
class Buildable:
    """Files that TensorRT can build, each under its precision."""

    files: dict[str, Path]
    plainest: Path  # the file whose masks the engines' are compared with: a bundle's fp32, else the only one
    labels: LabelSet
    manifest: Manifest | None  # of a bundle


def buildable(model: Path, precisions: tuple[str, ...] = (ALL,)) -> Buildable:
    """The files of `model` in the precisions that are asked for; raises ModelError or UsageError."""
    if model.is_dir():
        return _of_bundle(model, precisions)
    if model.suffix == ENGINE_SUFFIX:
        raise UsageError(f"wanted a bundle or an ONNX file to build from, found the engine {model}; give its ONNX file")
    if model.is_file() and model.suffix != ONNX_SUFFIX:
        raise other_kind(model, "a bundle or an ONNX file to build from")
    facts = onnx_facts(model)
    if facts.precision not in PRECISIONS:
        raise UsageError(
            f"{model}: wanted {_any_of(PRECISIONS)}, found {printable(facts.precision)}; give another file"
        )
    if not {facts.precision, ALL} & set(precisions):
        raise UsageError(f"{model}: wanted {_any_of(precisions)}, found {facts.precision}; leave --precision out")
    return Buildable({facts.precision: model}, model, facts.labels, None)


def _of_bundle(bundle: Path, precisions: tuple[str, ...]) -> Buildable:
    manifest = read_manifest(bundle)
    here = tuple(name for name in PRECISIONS if manifest.file(name))
    wanted = here if ALL in precisions else precisions
    if not wanted or not set(wanted) <= set(here):
        told = ", ".join(manifest.precisions) or "none"
        raise UsageError(f"{bundle}: wanted files of {', '.join(wanted or PRECISIONS)}, found {told}; export it again")
    files = {file.precision: onnx_of(bundle, file) for file in manifest.files if file.precision in {*wanted, "fp32"}}
    plainest = files.get("fp32", files[wanted[0]])
    return Buildable({name: files[name] for name in wanted}, plainest, manifest.labels, manifest)


def _any_of(names: tuple[str, ...]) -> str:
    return " or ".join(names)
