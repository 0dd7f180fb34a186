"""Engines for tests that never deserialise one: any bytes, and a sidecar that speaks of them."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fcn_edge.files import sha256_of
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import ModelFacts
from runtime import engine_fit
from runtime.cuda_driver import Gpu
from runtime.engine_facts import BuiltWith, EngineFacts, EngineTensor, engine_path, sidecar_of, write_engine_facts

PLAN = b"ftrt" + bytes(20) + bytes([10, 3, 0, 26]) + b"the rest of a plan" * 9
ONNX_SHA256 = "0" * 64
BUILT_WITH = BuiltWith("10.3.0", "Orin", "8.7", True, "12.6", "aarch64", "0.1.0")
BUILDER = {"gpu": Gpu("Orin", "8.7", True, 8 << 30, "12.6"), "tensorrt": "10.3.0", "machine": "aarch64"}


def become(monkeypatch: pytest.MonkeyPatch, **here: Any) -> None:
    """Let the preflight find this `gpu`, `tensorrt` and `machine`; an exception is raised instead."""

    def found(what: Any) -> Any:
        if isinstance(what, Exception):
            raise what
        return what

    if "gpu" in here:
        monkeypatch.setattr(engine_fit, "find_gpu", lambda: found(here["gpu"]))
    if "tensorrt" in here:
        monkeypatch.setattr(engine_fit, "load_tensorrt", lambda: SimpleNamespace(__version__=found(here["tensorrt"])))
    if "machine" in here:
        monkeypatch.setattr(engine_fit.platform, "machine", lambda: here["machine"])


def engine_facts(**changed: Any) -> EngineFacts:
    """A whole sidecar of an int8 engine."""
    labels = LabelSet(("road", "rest"), ((128, 64, 128), (0, 0, 0)))
    facts = EngineFacts(
        model=ModelFacts(labels, (64, 96), "int8", {"checkpoint": "tiny.safetensors"}),
        engine_sha256="",
        engine_bytes=0,
        onnx_name="model.int8.onnx",
        onnx_sha256=ONNX_SHA256,
        built_with=BUILT_WITH,
        tensors=(
            EngineTensor("frame", "input", (1, 64, 96, 3), "uint8"),
            EngineTensor("mask", "output", (1, 64, 96), "uint8"),
        ),
        options={"workspace_mb": 1024, "optimisation_level": 3},
        layers={"int8": 12, "float": 3},
        scores={"mean_iou_drop": 0.001},
        scored_on="TensorRT 10.3.0, 4 pictures of val",
    )
    return replace(facts, **changed)


def write_engine(folder: Path, plan: bytes = PLAN, **changed: Any) -> Path:
    """`model.int8.engine` and its sidecar in a folder."""
    engine = engine_path(folder, "int8")
    engine.write_bytes(plan)
    engine.chmod(0o644)
    os.chmod(folder, 0o755)
    write_engine_facts(engine, engine_facts(engine_sha256=sha256_of(engine), engine_bytes=len(plan), **changed))
    return engine


def edit_sidecar(engine: Path, *keys: str, to: Any) -> None:
    """Write another value into the sidecar, as a text editor would: the digest stays."""
    path = sidecar_of(engine)
    content = json.loads(path.read_text())
    *way, last = keys
    inner = content
    for key in way:
        inner = inner[key]
    inner[last] = to
    path.write_text(json.dumps(content))
