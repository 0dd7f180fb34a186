"""`fcn-edge check`: whether files will do where they are going, told before they go. Nothing is run.

An ONNX file is read against TensorRT's rules (`graph_rules`); of a bundle, every file that is for TensorRT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_edge.errors import ModelError, first_line
from fcn_edge.files import json_text
from fcn_edge.progress import say
from fcn_edge.report import print_table

if TYPE_CHECKING:
    from export.onnx_graph import Finding

FOR_TENSORRT = ("model.fp32.onnx", "model.fp16.onnx", "model.int8.onnx")
FOR_CPUS = "model.int8-cpu.onnx"

RULES = "TensorRT's rules from 8.5 to 11.4"


@click.command("check", epilog="Example: fcn-edge check bundle/model.int8.onnx")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def check_command(model: Path, as_json: bool) -> None:
    """Check MODEL (an ONNX file or a bundle) against TensorRT's rules from 8.5 to 11.4. No GPU is needed.

    Every breach is told with its node and what would mend it; with any, the exit code is 4.
    """
    found = {path: CHECKS[path.suffix](path) for path in _files_of(model)}
    if as_json:
        click.echo(json_text(_as_json(model, found)))
    else:
        for path, findings in found.items():
            _show(path, findings)
    _refuse_breaches(model, found)


def _files_of(model: Path) -> list[Path]:
    """The files to check: one, or those of a bundle that are for TensorRT."""
    if not model.is_dir():
        return [_require_file(model)]
    files = [model / name for name in FOR_TENSORRT if (model / name).is_file()]
    if not files:
        raise ModelError(f"{model}: wanted a bundle, found no {' or '.join(FOR_TENSORRT)} in it; see `fcn-edge export`")
    if (model / FOR_CPUS).is_file():
        say(f"{FOR_CPUS} left out: it is for CPUs, where other rules hold")
    return files


def _require_file(path: Path) -> Path:
    if not path.is_file():
        raise ModelError(f"wanted a model, found nothing at {path}; check the path")
    if path.suffix not in CHECKS:
        raise ModelError(
            f"{path}: wanted a bundle or an ONNX file, found a {path.suffix or 'nameless'} file; see `fcn-edge export`"
        )
    return path


def _graph_findings(path: Path) -> list[Finding]:
    """Breaches of TensorRT's rules; raises ModelError if the file holds no graph."""
    import onnx

    from export.graph_rules import check_graph

    try:
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf's share no base with ours or with Python's
        raise _no_onnx(path, first_line(error)) from None
    if not model.graph.node:
        raise _no_onnx(path, "no graph in it")
    return check_graph(model)


def _no_onnx(path: Path, found: str) -> ModelError:
    return ModelError(f"{path}: wanted an ONNX file, found: {found}; export it again")


# By suffix: what checks a file of this kind.
CHECKS: dict[str, Callable[[Path], list[Finding]]] = {".onnx": _graph_findings}


def _show(path: Path, findings: list[Finding]) -> None:
    if not findings:
        click.echo(f"{path}: follows {RULES}")
        return
    rows = [[finding.node, finding.found, finding.fix] for finding in findings]
    print_table(f"{path}: {_count(findings)} of {RULES}", [["node", "found", "fix"], *rows])


def _as_json(model: Path, found: Mapping[Path, list[Finding]]) -> dict[str, Any]:
    files = [
        {"file": path.name, "findings": [finding.to_json() for finding in findings]} for path, findings in found.items()
    ]
    return {"model": str(model), "passed": not any(found.values()), "files": files}


def _refuse_breaches(model: Path, found: Mapping[Path, list[Finding]]) -> None:
    breaches = [(path, finding) for path, findings in found.items() for finding in findings]
    if not breaches:
        return
    path, first = breaches[0]
    where = f"{path.name}, {first.node}" if path != model else first.node
    raise ModelError(
        f"{model}: wanted a graph by {RULES}, found {_count(breaches)} (first: {where}: {first.found}); {first.fix}"
    )


def _count(breaches: list[Any]) -> str:
    return f"{len(breaches)} {'breach' if len(breaches) == 1 else 'breaches'}"
