"""The engines by name, and how each opens a file of ours. A library is imported only when a file is opened on it."""

from __future__ import annotations

import platform
import shlex
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from fcn_edge.errors import ModelError
from runtime.cuda_driver import find_gpu
from runtime.engine_facts import EngineFacts
from runtime.session_protocol import Session

ENGINES = ("auto", "tensorrt", "onnxruntime", "onnxruntime-cuda", "openvino", "openvino-gpu")

# What each is given when the user does not say: the first of these that the bundle holds. The rest opens too when asked
# for by name, to see the masks of a GPU's file where there is none. (tensorrt takes whatever was built.)
PRECISIONS = {
    "openvino": ("int8-cpu", "fp32"),
    "onnxruntime": ("int8-cpu", "fp32"),
    "openvino-gpu": ("int8-cpu", "fp32"),
    "onnxruntime-cuda": ("fp16", "fp32"),
}

DEVICES = {"openvino": "CPU", "openvino-gpu": "GPU", "onnxruntime": "CPU", "onnxruntime-cuda": "CUDA"}

X86 = ("x86_64", "AMD64")  # by Linux's name and by Windows's


@dataclass(frozen=True)
class Serving:
    """What the user may say of how a model is served, whatever engine it comes to."""

    threads: int | None = None  # of a CPU; None leaves their number to the engine's library
    trust_engine: bool = False  # take a TensorRT engine whoever built it
    cuda_graph: bool = True  # of TensorRT: launch a run as one


def open_onnx(path: Path, engine: str, serving: Serving, sha256: str | None = None) -> Session:
    """An ONNX file of ours on any engine but tensorrt; raises ModelError, or UsageError where its package is missing.

    With the `sha256` of a file that stays, what the library makes of it is kept for the next start.
    """
    if engine == "tensorrt":
        find_gpu()  # without one there is nothing to build
        build = f"fcn-edge build {shlex.quote(str(path))}"
        raise ModelError(f"{path}: wanted an engine of TensorRT, found an ONNX file; build one on this GPU: {build}")
    if engine.startswith("openvino"):
        from runtime.openvino_session import OpenVinoSession

        return OpenVinoSession(path, serving.threads, DEVICES[engine], sha256=sha256)
    from runtime.ort_session import OrtSession

    return OrtSession(path, serving.threads, DEVICES[engine], sha256=sha256)


def open_engine(path: Path, facts: EngineFacts, serving: Serving) -> Session:
    """An engine that passed preflight; raises ModelError."""
    from runtime.trt_session import TrtSession

    return TrtSession(path, facts, cuda_graph=serving.cuda_graph)


def is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ValueError:  # a package that was hidden
        return False


def engine_at_hand() -> str:
    """For a file on its own: nothing is measured. On ARM OpenVINO runs too, but nobody found it faster there."""
    return "openvino" if platform.machine() in X86 and is_installed("openvino") else "onnxruntime"
