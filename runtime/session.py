"""Opening a model: a bundle, an ONNX file or an engine becomes a session on whatever computes its masks here.

An engine's library is imported only when its session is opened; torch and onnx never are.
"""

from __future__ import annotations

from pathlib import Path

from fcn_edge.errors import ModelError, UsageError
from fcn_edge.manifest import ModelFacts, read_manifest
from runtime.candidates import Wish
from runtime.engine_choice import open_bundle
from runtime.engine_facts import ENGINE_SUFFIX
from runtime.engine_file import require_tensorrt, servable_facts
from runtime.engines import ENGINES, Serving, engine_at_hand, open_engine, open_onnx
from runtime.model_file import ONNX_SUFFIX, onnx_facts, other_kind
from runtime.session_protocol import FakeSession, Session

__all__ = ["ENGINES", "FakeSession", "Session", "open_session"]


def open_session(
    model: Path,
    engine: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    *,
    trust_engine: bool = False,
    cuda_graph: bool = True,
) -> Session:
    """Open a bundle (a folder), an ONNX file of ours or an engine; raises ModelError, or UsageError for a wrong choice.

    `engine` auto: of a bundle the fastest of what is here (`engine_choice`); of an ONNX file OpenVINO where it is
    installed and the processor is an x86, else onnxruntime. `threads` None leaves their number to the engine's library.
    `trust_engine` takes a TensorRT engine whoever built it; `cuda_graph` is of TensorRT alone.
    """
    if engine not in ENGINES:
        raise UsageError(f"wanted an engine out of {', '.join(ENGINES)}, found {engine!r}; choose one of them")
    serving = Serving(threads, trust_engine, cuda_graph)
    if model.is_dir():
        return open_bundle(Wish(model, read_manifest(model), engine, precision, serving))
    if not model.is_file():
        raise ModelError(f"wanted a model, found nothing at {model}; check the path")
    if model.suffix == ENGINE_SUFFIX:
        return _open_engine(model, engine, precision, serving)
    if model.suffix == ONNX_SUFFIX:
        return _open_onnx(model, engine, precision, serving)
    raise other_kind(model)


def _open_engine(path: Path, engine: str, precision: str, serving: Serving) -> Session:
    require_tensorrt(path, engine)
    facts = servable_facts(path, trust=serving.trust_engine)
    _require_precision(path, precision, facts.model)
    return open_engine(path, facts, serving)


def _open_onnx(path: Path, engine: str, precision: str, serving: Serving) -> Session:
    if precision != "auto":
        _require_precision(path, precision, onnx_facts(path))
    return open_onnx(path, engine_at_hand() if engine == "auto" else engine, serving)


def _require_precision(path: Path, precision: str, facts: ModelFacts) -> None:
    if precision not in ("auto", facts.precision):
        raise UsageError(f"{path}: wanted precision {precision}, found {facts.precision}; leave --precision out")
