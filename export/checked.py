"""What `fcn-edge check` finds in one file: an ONNX graph by TensorRT's rules, an engine by its preflight.

Neither is run. Of a graph, what the outline refuses is known before any library reads the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import click

from fcn_edge.errors import ModelError, first_line, printable
from fcn_edge.manifest import BundleFile, ModelFacts
from fcn_edge.report import print_table
from runtime.model_file import onnx_of
from runtime.onnx_outline import Outline, outline_of, require_plain_onnx
from runtime.preflight import Preflight, preflight

if TYPE_CHECKING:
    from export.onnx_graph import Finding

CheckGraph = Callable[[Any], "list[Finding]"]  # of an onnx.ModelProto

RULES = "TensorRT's rules from 8.5 to 11.4"
FOR_CPUS = "int8-cpu"  # the precision of which no file is for TensorRT
NAMED = 3  # nodes of one row
DIGEST_LETTERS = 12  # of 64, in a table


@dataclass(frozen=True)
class CheckedGraph:
    """An ONNX file, and why it is refused, if it is."""

    path: Path
    findings: tuple[Finding, ...] | None = None  # None where the rules were not looked at
    error: ModelError | None = None
    precision: str | None = None  # by the file's own metadata

    @property
    def is_unjudged(self) -> bool:
        """The rules apply to it, and were not looked at."""
        return self.findings is None and self.precision != FOR_CPUS

    def show(self) -> None:
        if self.findings:
            rows = _rows(self.findings)
            print_table(f"{self.path}: {_count(self.findings)} of {RULES}", [["node", "found", "fix"], *rows])
        elif not self.error:
            click.echo(f"{self.path}: {self._verdict()}")

    def _verdict(self) -> str:
        if self.precision == FOR_CPUS:
            return f"is whole and plain; {RULES} do not apply, for it is for CPUs"
        return "is whole and plain" if self.findings is None else f"follows {RULES}"

    def to_json(self) -> dict[str, Any]:
        findings = None if self.findings is None else [finding.to_json() for finding in self.findings]
        told = {"file": self.path.name, "refused": _words(self.error), "precision": self.precision}
        return {**told, "findings": findings}


@dataclass(frozen=True)
class CheckedEngine:
    """A TensorRT engine, and why it is refused, if it is."""

    path: Path
    flight: Preflight | None = None  # None where there is no engine to speak of
    error: ModelError | None = None
    is_unjudged: ClassVar[bool] = False

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
    error = _refusal(path, file)
    try:
        precision = _precision(path, outline_of(path))
        rules = None if precision == FOR_CPUS else check_graph
        findings = None if rules is None else tuple(rules(_model(path)))
    except ModelError as unreadable:
        return CheckedGraph(path, error=error or unreadable)
    return CheckedGraph(path, findings, error or (_breaches(path, findings) if findings else None), precision)


def checked_engine(path: Path, file: BundleFile | None, *, trust: bool) -> CheckedEngine:
    """`file`: what it must have been built from, if it is in a bundle that has it."""
    try:
        flight = preflight(path, onnx_sha256=file.sha256 if file else None, trust=trust)
    except ModelError as error:
        return CheckedEngine(path, error=error)
    return CheckedEngine(path, flight, flight.error)


def _refusal(path: Path, file: BundleFile | None) -> ModelError | None:
    """Why it is not whole and plain, or not the file of its bundle. The outline comes first: it waits for no pipe."""
    try:
        if file is None or os.path.exists(path):
            require_plain_onnx(path)
        if file:
            onnx_of(path.parent, file)
    except ModelError as error:
        return error
    return None


def _precision(path: Path, outline: Outline) -> str | None:
    """None for a file that fcn-edge did not export."""
    try:
        return ModelFacts.from_metadata(outline.metadata, path).precision
    except ModelError:
        return None


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


def _rows(findings: Sequence[Finding]) -> Iterator[list[str]]:
    """A row for all that is found and mended alike, in the order of the first of each."""
    alike: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        alike.setdefault((finding.found, finding.fix), []).append(finding.node)
    for (found, fix), nodes in alike.items():
        named = ", ".join(nodes[:NAMED]) + (", ..." if nodes[NAMED:] else "")
        yield [f"{len(nodes)} x {named}" if nodes[1:] else named, found, fix]


def _count(findings: tuple[Finding, ...]) -> str:
    return f"{len(findings)} {'breach' if len(findings) == 1 else 'breaches'}"


def _words(error: ModelError | None) -> str | None:
    return str(error) if error else None


def _short(words: str) -> str:
    return f"{words[:DIGEST_LETTERS]}..." if len(words) == 64 and words.isalnum() else words
