"""What `fcn-edge check` finds in one file: an ONNX graph by TensorRT's rules, an engine by its preflight.

Neither is run. Of a graph, what the outline refuses is known before any library reads the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fcn_edge.errors import ModelError, first_line, printable
from fcn_edge.manifest import BundleFile
from fcn_edge.report import print_table
from runtime.model_file import onnx_of
from runtime.onnx_outline import outline_of, require_plain_onnx
from runtime.preflight import Preflight, preflight

if TYPE_CHECKING:
    from export.onnx_graph import Finding

CheckGraph = Callable[[Any], "list[Finding]"]  # of an onnx.ModelProto

RULES = "TensorRT's rules from 8.5 to 11.4"
DIGEST_LETTERS = 12  # of 64, in a table


@dataclass(frozen=True)
class CheckedGraph:
    """An ONNX file, and why it is refused, if it is."""

    path: Path
    findings: tuple[Finding, ...] | None = None  # None where the rules were not looked at
    error: ModelError | None = None

    def show(self) -> None:
        if self.findings:
            rows = [[finding.node, finding.found, finding.fix] for finding in self.findings]
            print_table(f"{self.path}: {_count(self.findings)} of {RULES}", [["node", "found", "fix"], *rows])
        elif not self.error:
            follows = "is whole and plain" if self.findings is None else f"follows {RULES}"
            click.echo(f"{self.path}: {follows}")

    def to_json(self) -> dict[str, Any]:
        findings = None if self.findings is None else [finding.to_json() for finding in self.findings]
        return {"file": self.path.name, "refused": _words(self.error), "findings": findings}


@dataclass(frozen=True)
class CheckedEngine:
    """A TensorRT engine, and why it is refused, if it is."""

    path: Path
    flight: Preflight | None = None  # None where there is no engine to speak of
    error: ModelError | None = None

    def show(self) -> None:
        if self.flight is None:
            return
        rows = [[row.what, _short(row.wanted), _short(row.found), row.verdict] for row in self.flight.conditions]
        verdict = "refused" if self.error else "may be served here"
        header = ["what", "built with, or wanted", "here", "verdict"]
        print_table(f"{printable(str(self.path))}: {verdict}", [header, *rows])

    def to_json(self) -> dict[str, Any]:
        flight, facts = self.flight, self.flight.facts if self.flight else None
        return {
            "file": self.path.name,
            "refused": _words(self.error),
            "precision": facts.model.precision if facts else None,
            "built_with": asdict(facts.built_with) if facts else None,
            "conditions": [condition.to_json() for condition in flight.conditions] if flight else [],
        }


Checked = CheckedGraph | CheckedEngine


def checked_graph(path: Path, file: BundleFile | None, check_graph: CheckGraph | None) -> CheckedGraph:
    """`file`: what its bundle says of it, if it is in one. `check_graph` reads the rules; None where the onnx package,
    which that needs, is missing.
    """
    try:
        outline_of(path)
        findings = None if check_graph is None else tuple(check_graph(_model(path)))
    except ModelError as error:
        return CheckedGraph(path, error=error)
    try:
        require_plain_onnx(path)
        if file:
            onnx_of(path.parent, file)
    except ModelError as error:
        return CheckedGraph(path, findings, error)
    return CheckedGraph(path, findings, _breaches(path, findings) if findings else None)


def checked_engine(path: Path, file: BundleFile | None, *, trust: bool) -> CheckedEngine:
    """`file`: what it must have been built from, if it is in a bundle that has it."""
    try:
        flight = preflight(path, onnx_sha256=file.sha256 if file else None, trust=trust)
    except ModelError as error:
        return CheckedEngine(path, error=error)
    return CheckedEngine(path, flight, flight.error)


def _model(path: Path) -> Any:
    import onnx

    try:
        return onnx.load_model(path, format="protobuf", load_external_data=False)
    except Exception as error:  # protobuf's share no base with ours or with Python's
        found = printable(first_line(error))
        raise ModelError(f"{path}: wanted an ONNX file, found: {found}; export it again") from None


def _breaches(path: Path, findings: tuple[Finding, ...]) -> ModelError:
    first = findings[0]
    found = f"{_count(findings)} (first: {first.node}: {first.found})"
    return ModelError(f"{path}: wanted a graph by {RULES}, found {found}; {first.fix}")


def _count(findings: tuple[Finding, ...]) -> str:
    return f"{len(findings)} {'breach' if len(findings) == 1 else 'breaches'}"


def _words(error: ModelError | None) -> str | None:
    return str(error) if error else None


def _short(words: str) -> str:
    return f"{words[:DIGEST_LETTERS]}..." if len(words) == 64 and words.isalnum() else words
