"""`fcn-edge check`: whether files will do where they are going, told before they go. Nothing is run or opened.

An ONNX file is held against TensorRT's rules (`graph_rules`) unless it is for CPUs, an engine against its sidecar and
this machine (`runtime.preflight`), and of a bundle every file also against its manifest. Engines need neither onnx nor
a GPU to be checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from export.checked import RULES, Checked, CheckGraph, checked_engine, checked_graph
from fcn_edge.errors import ModelError, UsageError
from fcn_edge.files import json_text
from fcn_edge.manifest import MANIFEST, BundleFile, Manifest, read_manifest
from fcn_edge.progress import say
from runtime.engine_facts import ENGINE_SUFFIX
from runtime.engine_file import origin_in
from runtime.model_file import ONNX_SUFFIX, other_kind

INSTALL = "install it: pip install 'fcn-edge[export]'"


@click.command("check", epilog="Example: fcn-edge check bundle/model.int8.onnx")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--trust-engine", is_flag=True, help="Take an engine whoever wrote it and whatever its digests say.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def check_command(model: Path, trust_engine: bool, as_json: bool) -> None:
    """Check MODEL, which is an ONNX file, an engine or a bundle, without opening it.

    An ONNX file is held against TensorRT's rules from 8.5 to 11.4: every breach is told with its node and what would
    mend it. One that is for CPUs need only be whole. An engine is held against its sidecar and this machine: what was
    built where, and what is here. No GPU is needed to be told. Of a bundle every file must be the one that its manifest
    names. With any refusal the exit code is 4.
    """
    files = [_checked(path, file, trust_engine) for path, file in _files_of(model)]
    if as_json:
        told = {"model": str(model), "passed": not any(file.error for file in files)}
        click.echo(json_text({**told, "files": [file.to_json() for file in files]}))
    else:
        for file in files:
            file.show()
    _end(model, files)


def _files_of(model: Path) -> list[tuple[Path, BundleFile | None]]:
    """The files to check, each with what a manifest says of it, or of what an engine was built from."""
    if model.is_dir():
        return _files_of_bundle(model, read_manifest(model))
    if model.suffix == ENGINE_SUFFIX:
        manifest = read_manifest(model.parent) if (model.parent / MANIFEST).is_file() else None
        return [(model, origin_in(manifest, model))]
    if model.suffix != ONNX_SUFFIX and model.exists():
        raise other_kind(model)
    return [(model, None)]


def _files_of_bundle(bundle: Path, manifest: Manifest) -> list[tuple[Path, BundleFile | None]]:
    """All that the manifest names, there or not and whatever it is for, and all engines."""
    engines = sorted(path for path in bundle.iterdir() if path.suffix == ENGINE_SUFFIX)
    if not manifest.files and not engines:
        raise ModelError(f"{bundle}: wanted a bundle, found a {MANIFEST} that names no file; see `fcn-edge export`")
    graphs = [(bundle / file.name, file) for file in manifest.files]
    return [*graphs, *((engine, origin_in(manifest, engine)) for engine in engines)]


def _checked(path: Path, file: BundleFile | None, trust: bool) -> Checked:
    if path.suffix == ENGINE_SUFFIX:
        return checked_engine(path, file, trust=trust)
    return checked_graph(path, file, _rules())


def _rules() -> CheckGraph | None:
    """None where the package onnx is missing, as on a device."""
    try:
        from export.graph_rules import check_graph
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        return None
    return check_graph


def _end(model: Path, files: Sequence[Checked]) -> None:
    """With the first refusal, or with what was not looked at."""
    error = next((file.error for file in files if file.error), None)
    if error:
        raise error
    if any(file.is_unjudged for file in files):
        wanted = f"{model}: wanted the package onnx to hold it against {RULES}, found none"
        if len(files) == 1:
            raise UsageError(f"{wanted}; {INSTALL}")
        say(f"{wanted}, so its ONNX files were not; {INSTALL}")
