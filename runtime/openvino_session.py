"""A session on OpenVINO's CPU plugin."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import ModelError, UsageError, first_line
from fcn_edge.manifest import METADATA_KEY, ModelFacts

METADATA = ["framework", METADATA_KEY]  # where OpenVINO keeps an ONNX file's metadata

# Without the first OpenVINO computes in bf16 wherever the processor can, and a float graph's masks change.
OPTIONS = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}

# Threads tied to cores have to wait for whoever else runs there, and a stream decodes and encodes beside the model.
CPU_OPTIONS = {"ENABLE_CPU_PINNING": False}


class OpenVinoSession:
    """One of our ONNX files, opened; the file's own metadata tells classes and size."""

    parts_ms: Mapping[str, float] = {}

    def __init__(self, path: Path, threads: int | None = None, device: str = "CPU") -> None:
        """`threads` None: as many as there are cores. Raises ModelError if the file is not such a graph.

        `device` is a name of OpenVINO's; only its CPU takes `threads`. Raises UsageError without the package openvino.
        """
        openvino = _library()
        with _refusing(path):
            model = _model_from_onnx(openvino, path)
            metadata = {METADATA_KEY: model.get_rt_info(METADATA).value} if model.has_rt_info(METADATA) else {}
        self.facts = ModelFacts.from_metadata(metadata, path)
        self._require_contract(model, path)
        with _refusing(path):
            compiled = openvino.Core().compile_model(model, device, _options(threads, device))
        self._tensor = openvino.Tensor
        self._request = compiled.create_infer_request()
        version, precision = openvino.__version__.split("-")[0], compiled.get_property("INFERENCE_PRECISION_HINT")
        told = f"{threads} threads" if threads else "all cores"
        self.device = f"openvino {version}, {device}, {precision.get_type_name()}, {told}"

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

    def __enter__(self) -> OpenVinoSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _options(threads: int | None, device: str) -> dict[str, object]:
    if device != "CPU":
        return dict(OPTIONS)
    return {**OPTIONS, **CPU_OPTIONS, **({"INFERENCE_NUM_THREADS": threads} if threads else {})}


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
        with _hidden("openvino_telemetry"):
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
    """Inside the block, importing `package` fails as if it were not installed.

    With its telemetry at hand, importing openvino writes to the home folder and forks a child that reports the import
    to the vendor; a device without network waits for that child at its end. Without, openvino goes on by design.
    """
    known = sys.modules.get(package)
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[package]
        if known is not None:
            sys.modules[package] = known
