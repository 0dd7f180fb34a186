"""A result card: what one model did on one machine, in a file that another machine can measure again by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import NoneType
from typing import Any

from fcn_edge import MAX_PIXELS
from fcn_edge.errors import SourceError, printable
from fcn_edge.files import write_json
from runtime.bench.ratios import FEWEST, Blocks
from runtime.bench.result import BenchResult
from runtime.bench.spells import Pace
from runtime.engines import ENGINES

KIND, SCHEMA_VERSION = "fcn-edge bench card", 1
OF_MACHINES = ("processor", "features", "cores", "board", "system")  # what makes them machines of one kind
LIBRARIES = ("numpy", "onnxruntime", "openvino", "tensorrt", "pycuda")

# Bounds of what is read: a card is anybody's file.
MOST_BYTES = 1 << 22
MOST_SPELLS = MOST_ROUNDS = 1000
MOST_S = 3600.0
MOST_WAIT_S = 10.0  # of what no limit cuts short
MOST_THREADS = 9999


@dataclass(frozen=True)
class Served:
    """How the model was opened, with nothing left to choose."""

    engine: str  # out of ENGINES
    precision: str
    threads: int | None
    cuda_graph: bool
    frame_hw: tuple[int, int]


@dataclass(frozen=True)
class Identity:
    """Which model it was."""

    name: str
    onnx_sha256: str  # of the file that was served, or that its engine was built of
    manifest_sha256: str | None  # of a bundle


@dataclass(frozen=True)
class Card:
    """`spells_ms` and `yardstick_ms` are the block medians of each spell."""

    model: Identity
    served: Served
    pace: Pace
    spells_ms: tuple[tuple[float, ...], ...]
    yardstick_ms: tuple[tuple[float, ...], ...]
    yardstick_version: int
    libraries: Mapping[str, str]  # those that are installed
    result: BenchResult  # of the usual bench, before the spells

    def to_json(self) -> dict[str, Any]:
        return {"kind": KIND, "schema_version": SCHEMA_VERSION, **asdict(self), "result": self.result.to_json()}

    @classmethod
    def from_json(cls, content: Any) -> Card:
        """Back from `to_json`, by way of JSON; raises KeyError, TypeError or ValueError for what no card holds."""
        if content["kind"] != KIND:
            raise ValueError(f"a file of another kind, {content['kind']!r}")
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema {content['schema_version']!r}, not {SCHEMA_VERSION}")
        spells, yards = _spells(content["spells_ms"]), _spells(content["yardstick_ms"])
        if list(map(len, spells)) != list(map(len, yards)):
            raise ValueError("a yardstick of other rounds")
        return cls(
            _identity(content["model"]),
            _served(content["served"]),
            _pace(content["pace"]),
            spells,
            yards,
            _whole(content["yardstick_version"], 0, MOST_SPELLS),
            _words(content["libraries"]),
            _result(content["result"]),
        )


def write_card(path: Path, card: Card) -> None:
    """Raises OutputError."""
    write_json(path, card.to_json())


def read_card(path: Path) -> Card:
    """Raises SourceError where there is no such card."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
        return Card.from_json(json.loads(text))
    except FileNotFoundError:
        raise SourceError(f"wanted the card of a bench, found nothing at {path}; check the path") from None
    except (OSError, KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError) as error:
        raise SourceError(
            f"{path}: wanted a card that `fcn-edge bench MODEL --card FILE` wrote, found: {_why(error)}; measure again"
        ) from None


def installed_libraries() -> dict[str, str]:
    """name -> version, of those that decide how fast a model is."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _why(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"nothing under {printable(str(error))}"
    return printable(str(error) or type(error).__name__)


def _identity(content: Mapping[str, Any]) -> Identity:
    manifest = content["manifest_sha256"]
    return Identity(
        printable(_text(content["name"])),
        _text(content["onnx_sha256"]),
        None if manifest is None else _text(manifest),
    )


def _served(content: Mapping[str, Any]) -> Served:
    engine, threads, cuda_graph = content["engine"], content["threads"], content["cuda_graph"]
    if engine not in ENGINES or engine == "auto":
        raise ValueError(f"an engine {engine!r}")
    if not isinstance(cuda_graph, bool):
        raise TypeError(f"{cuda_graph!r} for cuda_graph")
    height, width = (_whole(side, 1, MAX_PIXELS) for side in content["frame_hw"])
    if height * width > MAX_PIXELS:
        raise ValueError(f"a frame of {height}x{width}")
    return Served(
        engine,
        printable(_text(content["precision"])),
        None if threads is None else _whole(threads, 1, MOST_THREADS),
        cuda_graph,
        (height, width),
    )


def _pace(content: Mapping[str, Any]) -> Pace:
    return Pace(
        limit_s=_number(content["limit_s"], MOST_S),
        within=_number(content["within"], 1),
        spells=_whole(content["spells"], FEWEST, MOST_SPELLS),
        rounds=_whole(content["rounds"], 1, MOST_ROUNDS),
        block_s=_number(content["block_s"], MOST_WAIT_S),
        warmup_s=_number(content["warmup_s"], MOST_WAIT_S),
        seed=_whole(content["seed"], 0, 1 << 31),
    )


def _spells(content: Sequence[Blocks]) -> tuple[tuple[float, ...], ...]:
    spells = tuple(tuple(_number(block, 1e3 * MOST_S) for block in blocks) for blocks in content)
    if not FEWEST <= len(spells) <= MOST_SPELLS or not all(1 <= len(blocks) <= MOST_ROUNDS for blocks in spells):
        raise ValueError(f"{len(spells)} spells")
    return spells


def _result(content: Any) -> BenchResult:
    """What is told of it later is of the types that it should have."""
    result = BenchResult.from_json(content)
    if not all(isinstance(part, Mapping) for part in (result.state, *result.state.values())):
        raise TypeError(f"{result.state!r} for the machine's state")
    for name in OF_MACHINES:
        fact = result.machine.get(name)
        if not all(isinstance(part, (str, int, NoneType)) for part in (fact if isinstance(fact, list) else [fact])):
            raise TypeError(f"{fact!r} for the machine's {name}")
    return replace(result, date=printable(_text(result.date)), device=_text(result.device))


def _words(content: Mapping[str, Any]) -> dict[str, str]:
    return {printable(name): printable(_text(words)) for name, words in content.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} for words")
    return value


def _whole(value: Any, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise ValueError(f"{value!r} for a whole number from {least} to {most}")
    return value


def _number(value: Any, most: float) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 < value <= most:
        raise ValueError(f"{value!r} for a number above 0 and up to {most:g}")
    return float(value)
