"""What a TensorRT engine must not be separated from: `model.int8.engine.json` beside `model.int8.engine`.

The engine itself stays a bare plan, so that NVIDIA's own tools open it too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fcn_edge.errors import ModelError
from fcn_edge.files import json_text, write_json
from fcn_edge.manifest import SCHEMA_VERSION, ModelFacts

ENGINE_SUFFIX = ".engine"
DIGEST = "sha256_of_the_rest"  # of the sidecar itself: an edit shows


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


def write_engine_facts(engine: Path, facts: EngineFacts) -> None:
    """Write the sidecar of an engine, whole or not at all; raises OutputError."""
    content = {"schema_version": SCHEMA_VERSION, **asdict(facts), "model": facts.model.to_json()}
    write_json(sidecar_of(engine), {**content, DIGEST: _digest(content)})


def read_engine_facts(engine: Path) -> EngineFacts:
    """Raises ModelError if there is no sidecar, or one that fcn-edge did not leave so."""
    path = sidecar_of(engine)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        told = content.pop(DIGEST)
        if content.pop("schema_version") != SCHEMA_VERSION:
            raise ValueError("a schema of another fcn-edge")
        if told != _digest({"schema_version": SCHEMA_VERSION, **content}):
            raise ValueError("a sidecar that was edited")
        facts = {key: content[key] for key in EngineFacts.__dataclass_fields__}
        facts["model"] = ModelFacts.from_json(facts["model"])
        facts["built_with"] = BuiltWith(**facts["built_with"])
        facts["tensors"] = tuple(
            EngineTensor(**{**tensor, "shape": tuple(tensor["shape"])}) for tensor in facts["tensors"]
        )
        return EngineFacts(**facts)
    except FileNotFoundError:
        found = "none"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        found = str(error) if type(error) is ValueError else repr(error)
    raise ModelError(
        f"{engine}: wanted {path.name} as `fcn-edge build` wrote it, found {found}; build the engine again"
    )


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json_text(content, sort_keys=True).encode()).hexdigest()
