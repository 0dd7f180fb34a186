"""The seam between a stream and whatever computes masks: `Session`, and `open_session` that picks one for a model.

An engine's library is imported only when its session is opened; torch and onnx never are.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import ModelError, UsageError
from fcn_edge.files import sha256_of
from fcn_edge.labels import LabelSet
from fcn_edge.manifest import MANIFEST, ModelFacts, read_manifest

ENGINES = ("auto", "onnxruntime", "openvino")

# What a CPU should be given when the user does not say: the first of these that the bundle holds. Files made for a GPU
# open on a CPU too when asked for by name, to see their masks where there is none.
CPU_PRECISIONS = ("int8-cpu", "fp32")

X86 = ("x86_64", "AMD64")  # by Linux's name and by Windows's


class Session(Protocol):
    """An opened model. One thread uses it at a time."""

    facts: ModelFacts
    device: str  # what computes, for reports: library, version, processor, threads
    parts_ms: Mapping[str, float]  # of the last infer, by the device's own clock; empty where the engine tells none

    def infer(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame (H, W, 3) BGR uint8 of `facts.size_hw` to its mask (H, W) uint8, which the caller owns."""

    def close(self) -> None: ...

    def __enter__(self) -> Session: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FakeSession:
    """A session that is any function, for tests and for measuring everything but the model."""

    device = "a function"
    parts_ms: Mapping[str, float] = {}

    def __init__(
        self, infer: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], labels: LabelSet, size_hw: tuple[int, int]
    ) -> None:
        self.infer = infer
        self.facts = ModelFacts(labels, size_hw, "none")

    def close(self) -> None:
        """Nothing to give back."""

    def __enter__(self) -> FakeSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_session(model: Path, engine: str = "auto", precision: str = "auto", threads: int | None = None) -> Session:
    """Open a bundle (a folder) or one of our ONNX files; raises ModelError, or UsageError for a wrong choice.

    `engine` auto: OpenVINO where it is installed and the processor is an x86, else onnxruntime. `threads` None leaves
    their number to the engine's library.
    """
    if engine not in ENGINES:
        raise UsageError(f"wanted an engine out of {', '.join(ENGINES)}, found {engine!r}; choose one of them")
    path = _graph_of_bundle(model, precision) if model.is_dir() else model
    if not path.is_file():
        raise ModelError(f"wanted a model, found nothing at {path}; check the path")
    if path.suffix != ".onnx":
        raise ModelError(
            f"{path}: wanted a bundle or an ONNX file, found a {path.suffix or 'nameless'} file; see `fcn-edge export`"
        )
    session = _session(path, _engine_at_hand() if engine == "auto" else engine, threads)
    if precision not in ("auto", session.facts.precision):
        session.close()
        raise UsageError(
            f"{path}: wanted precision {precision}, found {session.facts.precision}; leave --precision out"
        )
    return session


def _engine_at_hand() -> str:
    on_x86 = platform.machine() in X86  # OpenVINO also runs on ARM, but there nobody measured it to be faster
    return "openvino" if on_x86 and find_spec("openvino") else "onnxruntime"


def _session(path: Path, engine: str, threads: int | None) -> Session:
    if engine == "openvino":
        from runtime.openvino_session import OpenVinoSession

        return OpenVinoSession(path, threads)
    from runtime.ort_session import OrtSession

    return OrtSession(path, threads)


def _graph_of_bundle(bundle: Path, precision: str) -> Path:
    manifest = read_manifest(bundle)
    wanted = CPU_PRECISIONS if precision == "auto" else (precision,)
    file = next((found for found in map(manifest.file, wanted) if found), None)
    if file is None:
        raise UsageError(
            f"{bundle}: wanted precision {' or '.join(wanted)}, found {', '.join(manifest.precisions) or 'none'}"
        )
    path = bundle / file.name
    if not path.is_file() or sha256_of(path) != file.sha256:
        found = "another file" if path.is_file() else "none"
        raise ModelError(
            f"{path}: wanted the file that {MANIFEST} names by its sha256, found {found}; export the bundle again"
        )
    return path
