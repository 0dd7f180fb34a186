"""What a TensorRT engine must not be separated from: `model.int8.engine.json` beside `model.int8.engine`.

The engine itself stays a bare plan, so that NVIDIA's own tools open it too.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_origin, get_type_hints

from fcn_edge.errors import ModelError, first_line, printable
from fcn_edge.files import json_text, whole_file
from fcn_edge.manifest import MANIFEST, SCHEMA_VERSION, ModelFacts, is_inside

ENGINE_SUFFIX = ".engine"
DIGEST = "sha256_of_the_rest"  # of the sidecar itself: an edit shows (no secret is in it, so it proves no origin)
MOST_BYTES = 1 << 24  # of a sidecar; some kilobytes are usual
WRITABLE_BY_OTHERS = 0o022  # of a mode: group and world


@dataclass(frozen=True)
class BuiltWith:
    """What made the engine, and so what may serve it."""

    tensorrt: str
    gpu: str
    compute_capability: str
    integrated: bool
    driver_cuda: str  # the newest CUDA that the driver served
    machine: str  # x86_64, aarch64
    fcn_edge: str


@dataclass(frozen=True)
class EngineTensor:
    """An input or output of the engine."""

    name: str
    mode: str  # input, output
    shape: tuple[int, ...]
    dtype: str  # numpy's name: uint8


@dataclass(frozen=True)
class EngineFacts:
    """The whole sidecar."""

    model: ModelFacts
    engine_sha256: str
    engine_bytes: int
    onnx_name: str
    onnx_sha256: str
    built_with: BuiltWith
    tensors: tuple[EngineTensor, ...]
    options: dict[str, Any]  # of the build
    layers: dict[str, Any]  # `export.layer_report`: how many layers compute in which precision
    scores: dict[str, Any] = field(default_factory=dict)  # Comparison.to_json; empty where nothing was scored
    scored_on: str = ""  # device and data


def sidecar_of(engine: Path) -> Path:
    return engine.with_name(f"{engine.name}.json")


def engine_path(bundle: Path, precision: str) -> Path:
    return bundle / f"model.{precision}{ENGINE_SUFFIX}"


def build_command(engine: Path) -> str:
    """What to type to have an engine built again here: of a bundle, or of the ONNX file by its name, if there."""
    precision = engine.name.removeprefix("model.").removesuffix(ENGINE_SUFFIX)
    if engine == engine_path(engine.parent, precision) and (engine.parent / MANIFEST).exists():
        return f"fcn-edge build {shlex.quote(str(engine.parent))} --precision {shlex.quote(precision)}"
    onnx = engine.with_suffix(".onnx")
    return f"fcn-edge build {shlex.quote(str(onnx)) if os.path.exists(onnx) else 'ITS_ONNX_FILE'}"


class Sidecar(NamedTuple):
    """What stands beside an engine, and whether it is as `write_engine_facts` left it."""

    facts: EngineFacts
    is_intact: bool


def write_engine_facts(engine: Path, facts: EngineFacts) -> None:
    """Write the sidecar of an engine, whole or not at all; raises OutputError."""
    content = {"schema_version": SCHEMA_VERSION, **asdict(facts), "model": facts.model.to_json()}
    with whole_file(sidecar_of(engine)) as partial:
        partial.write_text(json_text({**content, DIGEST: _digest(content)}, indent=1) + "\n", encoding="utf-8")
        close_to_others(partial)


def close_to_others(path: Path) -> None:
    """Let nobody but its owner write a file, whatever the umask: an engine that others could write is refused."""
    path.chmod(stat.S_IMODE(path.stat().st_mode) & ~WRITABLE_BY_OTHERS)


def read_engine_facts(engine: Path) -> EngineFacts:
    """Raises ModelError if there is no sidecar, or one that fcn-edge did not leave so."""
    sidecar = read_sidecar(engine)
    if not sidecar.is_intact:
        raise edited(engine)
    return sidecar.facts


def read_sidecar(engine: Path) -> Sidecar:
    """Raises ModelError if there is no sidecar, or one that no fcn-edge of this version can have written."""
    path = sidecar_of(engine)
    try:
        content = json.loads(_text_of(path), parse_float=_finite, parse_constant=_finite)
        if not isinstance(content, dict):
            raise ValueError("no JSON object")
        told = content.pop(DIGEST)
        is_intact = told == _digest(content)
        if content.pop("schema_version") != SCHEMA_VERSION:
            raise ValueError("a schema of another fcn-edge")
        return Sidecar(_engine_facts(content), is_intact)
    except FileNotFoundError:
        found = "none"
    except OSError as error:
        found = error.strerror or str(error)
    except KeyError as error:
        found = f"no {error}"
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        found = first_line(error)
    raise _refusal(engine, found)


def edited(engine: Path) -> ModelError:
    return _refusal(engine, "a sidecar that was edited")


def _refusal(engine: Path, found: str) -> ModelError:
    wanted = f"{sidecar_of(engine).name} as `fcn-edge build` wrote it"
    return ModelError(
        f"{engine}: wanted {wanted}, found {printable(found)}; build it again with `{build_command(engine)}`"
    )


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json_text(content, sort_keys=True).encode()).hexdigest()


def _text_of(path: Path) -> str:
    """Of a regular file of some size: a pipe would be waited for, and a huge file fill the memory."""
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("no regular file")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"more than {MOST_BYTES >> 20} MiB")
    return content.decode()


def _finite(number: str) -> float:
    """`json_text` writes none that is not, and the digest cannot tell such from null."""
    if not math.isfinite(float(number)):
        raise ValueError(f"the number {number}")
    return float(number)


def _engine_facts(content: dict[str, Any]) -> EngineFacts:
    """Back from `asdict`; raises KeyError, TypeError or ValueError."""
    content["model"] = ModelFacts.from_json(content["model"])
    content["built_with"] = _exactly(BuiltWith, content["built_with"])
    content["tensors"] = tuple(_tensor(row) for row in _list(content["tensors"]))
    facts = _exactly(EngineFacts, content)
    if not is_inside(facts.onnx_name):
        raise ValueError("an ONNX file outside the bundle")
    return facts


def _tensor(content: dict[str, Any]) -> EngineTensor:
    shape = _list(content["shape"])
    if any(type(side) is not int for side in shape):
        raise ValueError(f"the shape {shape}")
    return _exactly(EngineTensor, {**content, "shape": tuple(shape)})


def _list(content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise ValueError(f"a {type(content).__name__} where a list belongs")
    return content


Facts = TypeVar("Facts")


def _exactly(kind: type[Facts], content: dict[str, Any]) -> Facts:
    """A dataclass from all of its fields and no others, each of the very type that it declares."""
    types = get_type_hints(kind)
    if content.keys() != types.keys():
        raise ValueError(f"other fields than those of {kind.__name__}")
    for name, wanted in types.items():
        if type(content[name]) is not (get_origin(wanted) or wanted):
            raise ValueError(f"{name} of type {type(content[name]).__name__}")
    return kind(**content)
