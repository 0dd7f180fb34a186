"""Which values a network's activations take on the calibration pictures: a histogram per ReLU, in bounded memory."""

from __future__ import annotations

import ctypes
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from calibration.image_set import CalibrationSet
from fcn_edge.errors import ModelError, first_line
from fcn_edge.images import fit_frame
from fcn_edge.progress import tracked

BINS = 2048
BYTES_AT_ONCE = 512 << 20  # of activations that one run of the network hands over
ERRORS_ONLY = 3  # of onnxruntime's log


class Histogram:
    """How often non-negative values occur, in `BINS` equal bins from 0 to `high`, and the largest of them."""

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.high = 0.0
        self.maximum = 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        largest = float(values.max())
        if not np.isfinite(largest) or float(values.min()) < 0:
            raise ModelError("wanted finite values after each ReLU, found others; train the checkpoint again")
        self.maximum = max(self.maximum, largest)
        self.high = self.high or 1.001 * largest  # a value at the very end would be left out
        while largest >= self.high > 0:
            self._widen()
        found = cv2.calcHist([values.reshape(-1, 1)], [0], None, [BINS], [0, self.high or 1.0])
        self.counts += found.reshape(-1).astype(np.int64)

    def _widen(self) -> None:
        """Twice the range: neighbouring bins become one."""
        self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(1), np.zeros(BINS // 2, np.int64)])
        self.high *= 2

    def copy(self) -> Histogram:
        other = Histogram()
        other.counts, other.high, other.maximum = self.counts.copy(), self.high, self.maximum
        return other


Histograms = dict[str, Histogram]  # by the name of the layer whose ReLU made the values


def observe(fp32: Path, pictures: CalibrationSet, size_hw: tuple[int, int]) -> Iterator[Histograms]:
    """Run an exported fp32 graph over the pictures; after each one, the histograms so far (the caller copies).

    Raises SourceError for a picture that cannot be read, ModelError for a graph that cannot be run.
    """
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        probes = [(group, stack.enter_context(_opened(path))) for group, path in _expose_relus(fp32, Path(scratch))]
        histograms = {layer: Histogram() for group, _ in probes for layer in group}
        for index in tracked(pictures.indices, "calibrating", len(pictures)):
            frame = fit_frame(pictures.dataset.image(index), size_hw)[None]
            for group, session in probes:
                entry = session.get_inputs()[0].name
                if len(probes) > 1:  # one graph alone finds its own room again, and quicker than the system gives it
                    _return_freed_memory()
                for layer, values in zip(group, session.run(list(group.values()), {entry: frame}), strict=True):
                    histograms[layer].add(values)
            yield histograms


def _return_freed_memory() -> None:
    """To the system. glibc keeps freed tensors, in holes that those of the next graph seldom fit: with every graph
    more of them, until a process with a limit of 32 MiB had taken 160 to 720. Now it takes 100.
    """
    with suppress(AttributeError, TypeError):  # another C library has no such function, and may need none
        ctypes.CDLL(None).malloc_trim(0)


def _expose_relus(fp32: Path, folder: Path) -> list[tuple[dict[str, str], Path]]:
    """Groups of ReLUs (layer -> tensor) of at most BYTES_AT_ONCE together, each with a graph that gives just them.

    A graph each, for onnxruntime keeps all outputs of a graph until a run ends, whether they are asked for or not.
    """
    model = onnx.load(fp32)
    own = len(model.graph.output)
    probes = []
    for number, group in enumerate(_groups(model.graph)):
        del model.graph.output[own:]
        for tensor in group.values():
            model.graph.output.append(onnx.helper.make_tensor_value_info(tensor, onnx.TensorProto.FLOAT, None))
        onnx.save(model, folder / f"probe{number}.onnx")
        probes.append((group, folder / f"probe{number}.onnx"))
    return probes


def _groups(graph: onnx.GraphProto) -> list[dict[str, str]]:
    sizes = {info.name: 4 * _elements(info) for info in graph.value_info}  # the exporter writes them all
    groups: list[dict[str, str]] = [{}]
    for layer, tensor in relu_outputs(graph).items():
        if groups[-1] and sum(sizes[name] for name in groups[-1].values()) + sizes[tensor] > BYTES_AT_ONCE:
            groups.append({})
        groups[-1][layer] = tensor
    return groups


def _elements(info: onnx.ValueInfoProto) -> int:
    return int(np.prod([dimension.dim_value for dimension in info.type.tensor_type.shape.dim]))


def relu_outputs(graph: onnx.GraphProto) -> dict[str, str]:
    """Layer -> the tensor behind its ReLU, for each convolution that has one."""
    made_by = {node.output[0]: node for node in graph.node if node.op_type == "Conv"}
    return {
        made_by[node.input[0]].name: node.output[0]
        for node in graph.node
        if node.op_type == "Relu" and node.input[0] in made_by
    }


@contextmanager
def _opened(path: Path) -> Iterator[onnxruntime.InferenceSession]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        raise ModelError(f"wanted a graph that onnxruntime opens, found: {first_line(error)}; export again") from None
    yield session
