"""What an ONNX file says of itself, read without the onnx package and without its weights: half a gigabyte takes
milliseconds.

It comes before any library opens a file: what it refuses, no parser written in C++ gets to see. It says nothing of
whether the graph computes anything; field numbers are those of onnx.proto.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fcn_edge.errors import ModelError, printable
from runtime.protobuf_wire import Span, Wire, WireError, signed

ONNX_DOMAINS = ("", "ai.onnx")  # two names of ONNX's own domain; "" in an Outline
DEEPEST = 100  # messages within messages, as protobuf's own readers have it

# Message -> field -> the message it holds: every way by which a node or a tensor can be in a file.
INTO = {
    "Model": {7: "Graph", 8: "OperatorSet", 14: "Metadata", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "ExternalData"},
}

# Message -> field -> what we call it, of the words and numbers that are kept.
KEPT = {
    "Model": {1: "ir_version"},
    "OperatorSet": {1: "domain", 2: "version"},
    "Metadata": {1: "key", 2: "value"},
    "ExternalData": {1: "key", 2: "value"},
    "Function": {1: "operator", 10: "domain"},
    "Node": {1: "input", 2: "output", 3: "name", 4: "operator", 7: "domain"},
    "Tensor": {14: "data_location"},
}
NUMBERS = ("ir_version", "version", "data_location")


@dataclass(frozen=True)
class Outline:
    """A whole file, subgraphs and functions included. Names are the file's own: print them through `printable`."""

    ir_version: int
    opsets: Mapping[str, int]  # domain -> version
    metadata: Mapping[str, str]
    nodes: int
    domains: frozenset[str]  # of the operators that are used or defined
    foreign_operators: tuple[str, ...]  # DOMAIN.OPERATOR of each that is not ONNX's own
    external_data: tuple[str, ...]  # the files that hold its tensors; "" where a tensor is elsewhere and names none
    quantised_convolutions: tuple[str, ...]  # whose input and weights come straight from DequantizeLinear


def outline_of(path: Path) -> Outline:
    """Raises ModelError, in one line, for whatever is not a whole ONNX file with a graph in it."""
    with _opened(path) as wire:
        try:
            gathered = _Gathered()
            for message in _messages(wire, "Model", wire.whole, 0):
                gathered.add(message)
            return gathered.outline()
        except WireError as error:
            raise _refusal(path, str(error)) from None
        except OSError as error:
            raise _refusal(path, error.strerror or str(error)) from None


def require_plain_onnx(path: Path) -> Outline:
    """`outline_of` a file that is whole in itself and made of ONNX's own operators; raises ModelError for others.

    A second file is not covered by the sha256 of the first, and its name may lead anywhere.
    """
    outline = outline_of(path)
    if outline.external_data:
        named = printable(outline.external_data[0]) or "no name"
        raise ModelError(
            f"{path}: wanted an ONNX file with its weights inside, found external data ({named}), which is not read; "
            "save it with external_data=False"
        )
    if outline.foreign_operators:
        raise ModelError(
            f"{path}: wanted ONNX's own operators, found {printable(outline.foreign_operators[0])}; export it again "
            "without custom domains"
        )
    return outline


@dataclass
class _Message:
    kind: str
    words: dict[str, list[str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)

    def word(self, name: str) -> str:
        """The last one counts, as in every reader of protobuf."""
        return self.words[name][-1] if name in self.words else ""

    @property
    def domain(self) -> str:
        domain = self.word("domain")
        return "" if domain in ONNX_DOMAINS else domain


def _messages(wire: Wire, kind: str, span: Span, depth: int) -> Iterator[_Message]:
    """All messages of INTO, each after those within it."""
    if depth > DEEPEST:
        raise WireError(f"messages nested deeper than {DEEPEST}")
    message, into, kept = _Message(kind), INTO.get(kind, {}), KEPT.get(kind, {})
    for number, value in wire.fields(span):
        name = kept.get(number, "")
        if number in into:
            yield from _messages(wire, into[number], _bytes(value, kind, number), depth + 1)
        elif name in NUMBERS:
            message.numbers[name] = _number(value, kind, number)
        elif name:
            message.words.setdefault(name, []).append(wire.text(_bytes(value, kind, number)))
    yield message


def _bytes(value: int | Span, kind: str, number: int) -> Span:
    if isinstance(value, Span):
        return value
    raise WireError(f"a number as field {number} of {kind}")


def _number(value: int | Span, kind: str, number: int) -> int:
    if isinstance(value, Span):
        raise WireError(f"bytes as field {number} of {kind}")
    return signed(value)


class _Gathered:
    """What is known of a file while it is read."""

    def __init__(self) -> None:
        self.ir_version, self.nodes = 0, 0
        self.opsets: dict[str, int] = {}
        self.metadata: dict[str, str] = {}
        self.domains: set[str] = set()
        self.foreign: dict[str, None] = {}  # a set in the order of the file
        self.external: dict[str, None] = {}
        self.convolutions: list[tuple[str, list[str]]] = []  # name, input and weights
        self.dequantised: set[str] = set()  # tensors
        self._entries: list[_Message] = []  # of the tensor being read

    def add(self, message: _Message) -> None:
        match message.kind:
            case "Model":
                self.ir_version = message.numbers.get("ir_version", 0)
            case "OperatorSet":
                self.opsets[message.domain] = message.numbers.get("version", 0)
            case "Metadata":
                self.metadata[message.word("key")] = message.word("value")
            case "ExternalData":
                self._entries.append(message)
            case "Tensor":
                self._add_tensor(message)
            case "Function":
                self._add_operator(message)
            case "Node":
                self._add_node(message)

    def _add_tensor(self, tensor: _Message) -> None:
        """Either sign of external data is enough, for libraries differ in which one they look at."""
        if self._entries or tensor.numbers.get("data_location"):
            places = [entry.word("value") for entry in self._entries if entry.word("key") == "location"]
            self.external.update(dict.fromkeys(places or [""]))
            self._entries = []

    def _add_node(self, node: _Message) -> None:
        self.nodes += 1
        self._add_operator(node)
        inputs, outputs = node.words.get("input", []), node.words.get("output", [])
        what = (node.domain, node.word("operator"))
        if what == ("", "DequantizeLinear"):
            self.dequantised.update(outputs[:1])
        elif what == ("", "Conv"):
            self.convolutions.append((node.word("name") or "".join(outputs[:1]), inputs[:2]))

    def _add_operator(self, message: _Message) -> None:
        self.domains.add(message.domain)
        if message.domain:
            self.foreign[f"{message.domain}.{message.word('operator')}"] = None

    def outline(self) -> Outline:
        """Raises WireError where the bytes could be any message."""
        for found, missing in ((self.ir_version, "IR version"), (self.opsets, "opset"), (self.nodes, "graph")):
            if not found:
                raise WireError(f"no {missing} in it")
        quantised = [name for name, inputs in self.convolutions if len(inputs) == 2 and self.dequantised >= {*inputs}]
        return Outline(
            ir_version=self.ir_version,
            opsets=self.opsets,
            metadata=self.metadata,
            nodes=self.nodes,
            domains=frozenset(self.domains),
            foreign_operators=tuple(self.foreign),
            external_data=tuple(self.external),
            quantised_convolutions=tuple(quantised),
        )


@contextmanager
def _opened(path: Path) -> Iterator[Wire]:
    """A regular file that holds something; a pipe would be waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"wanted a model, found nothing at {path}; check the path") from None
    except OSError as error:
        raise _refusal(path, error.strerror or str(error)) from None
    try:
        wire = Wire(descriptor)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refusal(path, "no regular file")
        if not wire.whole.end:
            raise _refusal(path, "0 bytes")
        yield wire
    finally:
        os.close(descriptor)


def _refusal(path: Path, found: str) -> ModelError:
    return ModelError(f"{path}: wanted an ONNX file, found: {printable(found)}; export it again")
