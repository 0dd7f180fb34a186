"""A session on OpenVINO: its CPU plugin, or its plugin for Intel's GPUs."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import ModelError, UsageError, first_line
from runtime.model_file import onnx_facts
from runtime.openvino_blob import Compiled, kept_or_compiled

# Without the first OpenVINO computes in bf16 or half precision wherever the processor can, and a float graph's masks
# change.
OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}

# Threads tied to cores have to wait for whoever else runs there, and a stream decodes and encodes beside the model.
CPU_OPTIONS = {"ENABLE_CPU_PINNING": False}


class OpenVinoSession:
    """One of our ONNX files, opened; the file's own metadata tells classes and size."""

    parts_ms: Mapping[str, float] = {}

    def __init__(
        self, path: Path, threads: int | None = None, device: str = "CPU", *, sha256: str | None = None
    ) -> None:
        """`threads` None: as many as there are cores. Raises ModelError if the file is not such a graph.

        `device` is a name of OpenVINO's: CPU, GPU; only its CPU takes `threads`. With the file's `sha256` what the CPU
        plugin compiles is kept for the next start. Raises UsageError without the package openvino.
        """
        self.facts = onnx_facts(path)
        openvino = _library()
        if device != "CPU":  # to ask for all devices takes longer than to open a kept model
            _require_device(openvino, device, path)
        with _refusing(path):
            self._compiled = _compiled(openvino, path, device, _options(threads, device), sha256)
        model, version = self._compiled.model, openvino.__version__
        self._require_contract(model, path)
        self._tensor = openvino.Tensor
        self._request = model.create_infer_request()
        precision = model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        told = [f"{threads} threads" if threads else "all cores"] if device == "CPU" else []
        self.device = ", ".join([f"openvino {version.split('-')[0]}", device, precision, *told])

    def _require_contract(self, model: Any, path: Path) -> None:
        """A uint8 frame (1, H, W, 3) in, a uint8 mask (1, H, W) out."""
        height, width = self.facts.size_hw
        wanted = [("u8", f"[1,{height},{width},3]"), ("u8", f"[1,{height},{width}]")]
        found = [(end.element_type.get_type_name(), str(end.partial_shape)) for end in [*model.inputs, *model.outputs]]
        if found != wanted:
            raise ModelError(f"{path}: wanted a graph from {wanted[0]} to {wanted[1]}, found {found}; export it again")

    def infer(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A frame (H, W, 3) BGR uint8 to its mask (H, W) uint8, a fresh array."""
        if self._request is None:
            raise RuntimeError("this session is closed")
        # As a tensor, a frame of another type or size is refused; a bare array would be cast to the graph's type.
        mask: NDArray[np.uint8] = self._request.infer({0: self._tensor(frame[None])})[0][0]
        return mask

    def close(self) -> None:
        self._request = None
        self._compiled = Compiled(None)

    def __enter__(self) -> OpenVinoSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def openvino_devices() -> list[str]:
    """What OpenVINO can compute on here, by its own names: CPU, GPU or GPU.0; raises UsageError without the package."""
    devices: list[str] = core_of(_library()).available_devices
    return devices


@cache
def core_of(openvino: Any) -> Any:
    """The one openvino.Core of this process, for ever.

    Its CPU plugin gives the thread another stack for signals, and with itself takes the memory back: two plugins that
    go in the order in which they came leave that stack without memory, and the next Ctrl-C crashes the process.
    """
    return openvino.Core()


def _require_device(openvino: Any, device: str, path: Path) -> None:
    devices = core_of(openvino).available_devices
    if not any(found.split(".")[0] == device for found in devices):
        raise ModelError(
            f"{path}: wanted OpenVINO's {device}, found {', '.join(devices) or 'no device'}; see `fcn-edge doctor`, or "
            "choose another --engine"
        )


def _options(threads: int | None, device: str) -> dict[str, object]:
    if device != "CPU":
        return dict(OPTIONS)
    return {**OPTIONS, **CPU_OPTIONS, **({"INFERENCE_NUM_THREADS": threads} if threads else {})}


def _compiled(openvino: Any, path: Path, device: str, options: dict[str, object], sha256: str | None) -> Compiled:
    """Only the CPU's is kept: what keeping a GPU's would bring nobody has measured."""

    def compile_model() -> Any:
        return core_of(openvino).compile_model(_model_from_onnx(openvino, path), device, options)

    if sha256 and device == "CPU":
        return kept_or_compiled(openvino, core_of(openvino), sha256, options, compile_model)
    return Compiled(compile_model())


def _model_from_onnx(openvino: Any, path: Path) -> Any:
    """The file's graph, its first output alone: what only the others need is not computed.

    By the reader of ONNX itself: `Core.read_model` offers a file that is none to every other reader, and those of
    TensorFlow's files print to stderr.
    """
    reader = openvino.frontend.FrontEndManager().load_by_framework("onnx")
    model = reader.convert(reader.load(path))
    for result in model.get_results()[1:]:
        model.remove_result(result)
    return model


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """A failure of OpenVINO as a ModelError; its last line tells, those before are places in its source."""
    try:
        yield
    except Exception as error:  # OpenVINO's exceptions share no base class of their own
        found = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise ModelError(
            f"{path}: wanted an ONNX file that OpenVINO opens, found: {found[0]}; export it again"
        ) from None


def _library() -> Any:
    """The package openvino; raises UsageError where it is missing or does not load."""
    try:
        with _hidden("openvino_telemetry"), _hidden("openvino.tools"):
            import openvino
            import openvino.frontend
    except ImportError as error:
        raise UsageError(
            f"wanted the package openvino, found: {first_line(error)}; "
            "install it: pip install 'fcn-edge[openvino]', or choose --engine onnxruntime"
        ) from None
    return openvino


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    """Inside the block, importing `package` fails as if it were not installed; openvino goes on without, by design.

    With its telemetry at hand, importing openvino writes to the home folder and forks a child that reports the import
    to the vendor; a device without network waits for that child at its end. Its tools, converters of other formats,
    take a fifth of the time that the import takes.
    """
    known = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
        if known is not None:
            sys.modules[package] = known
