"""`fcn-edge check`: whether files will do where they are going, told before they go. Nothing is run or opened.

An ONNX file is held against TensorRT's rules (`graph_rules`), an engine against its sidecar and this machine
(`runtime.preflight`), and of a bundle all that is for TensorRT. Engines need neither onnx nor a GPU to be checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from export.checked import RULES, Checked, CheckedGraph, CheckGraph, checked_engine, checked_graph
from fcn_edge.errors import ModelError, UsageError
from fcn_edge.files import json_text
from fcn_edge.manifest import MANIFEST, Manifest, read_manifest
from fcn_edge.progress import say
from runtime.engine_facts import ENGINE_SUFFIX
from runtime.engine_file import origin_in

FOR_TENSORRT = ("model.fp32.onnx", "model.fp16.onnx", "model.int8.onnx")
FOR_CPUS = "model.int8-cpu.onnx"

INSTALL = "install it: pip install 'fcn-edge[export]'"


@click.command("check", epilog="Example: fcn-edge check bundle/model.int8.onnx")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--trust-engine", is_flag=True, help="Take an engine whoever wrote it and whatever its digests say.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def check_command(model: Path, trust_engine: bool, as_json: bool) -> None:
    """Check MODEL, which is an ONNX file, an engine or a bundle, without opening it.

    An ONNX file is held against TensorRT's rules from 8.5 to 11.4: every breach is told with its node and what would
    mend it. An engine is held against its sidecar and this machine: what was built where, and what is here. No GPU is
    needed to be told. With any refusal the exit code is 4.
    """
    paths, manifest = _files_of(model), _manifest_of(model)
    files = [_checked(path, manifest, trust_engine) for path in paths]
    if as_json:
        told = {"model": str(model), "passed": not any(file.error for file in files)}
        click.echo(json_text({**told, "files": [file.to_json() for file in files]}))
    else:
        for file in files:
            file.show()
    _end(model, files)


def _files_of(model: Path) -> list[Path]:
    """The files to check: one, or those of a bundle that are for TensorRT."""
    if not model.is_dir():
        if model.suffix not in (".onnx", ENGINE_SUFFIX) and model.exists():
            found = f"a {model.suffix or 'nameless'} file"
            raise ModelError(
                f"{model}: wanted a bundle, an ONNX file or an engine, found {found}; see `fcn-edge export`"
            )
        return [model]
    files = [model / name for name in FOR_TENSORRT if (model / name).is_file()]
    files += sorted(path for path in model.iterdir() if path.suffix == ENGINE_SUFFIX)
    if not files:
        raise ModelError(f"{model}: wanted a bundle, found no {' or '.join(FOR_TENSORRT)} in it; see `fcn-edge export`")
    if (model / FOR_CPUS).is_file():
        say(f"{FOR_CPUS} left out: it is for CPUs, where other rules hold")
    return files


def _manifest_of(model: Path) -> Manifest | None:
    """Of the bundle, or of the one that an engine lies in; None where it lies in none."""
    folder = model.parent if model.suffix == ENGINE_SUFFIX and not model.is_dir() else model
    return read_manifest(folder) if (folder / MANIFEST).is_file() else None


def _checked(path: Path, manifest: Manifest | None, trust: bool) -> Checked:
    if path.suffix == ENGINE_SUFFIX:
        return checked_engine(path, origin_in(manifest, path), trust=trust)
    files = manifest.files if manifest else ()
    return checked_graph(path, next((file for file in files if file.name == path.name), None), _rules())


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
    if any(isinstance(file, CheckedGraph) and file.findings is None for file in files):
        wanted = f"{model}: wanted the package onnx to hold it against {RULES}, found none"
        if len(files) == 1:
            raise UsageError(f"{wanted}; {INSTALL}")
        say(f"{wanted}, so its ONNX files were not; {INSTALL}")
