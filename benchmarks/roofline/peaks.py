"""What this machine can do at most: operations a second in dense convolutions, bytes a second from caches and memory.

Dense means many channels and a map that stays in the caches: what no network beats. The best of a few shapes on the
engines that serve counts; a kernel written for this processor alone might still be faster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import onnx
import onnxruntime
import openvino
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from runtime.openvino_session import core_of

LAYERS = 8  # so that what enters and leaves the graph costs next to nothing
COPIED_BYTES = tuple(1 << power for power in range(18, 29, 2))  # 256 KiB to 256 MiB, read and written
COPIES = PASSES = 7  # the best of so many counts

Run = Callable[[], Any]


@dataclass(frozen=True)
class Shape:
    """Of each of `LAYERS` equal convolutions."""

    channels: int
    side: int  # pixels of the square map
    kernel: int

    @property
    def operations(self) -> float:
        return 2.0 * LAYERS * (self.channels * self.kernel * self.side) ** 2

    @property
    def weights(self) -> tuple[int, int, int, int]:
        return (self.channels, self.channels, self.kernel, self.kernel)

    def __str__(self) -> str:
        return f"{self.kernel}x{self.kernel}, {self.channels} channels, {self.side}x{self.side}"


@dataclass(frozen=True)
class Dense:
    """The fastest shape, a pass of it to measure again, and operations a second of each engine's fastest."""

    shape: Shape
    run: Run
    engines: Mapping[str, float]


SHAPES = (Shape(128, 96, 3), Shape(256, 48, 3), Shape(512, 32, 3), Shape(1024, 32, 1))


def best_dense(is_int8: bool, threads: int, folder: Path) -> Dense:
    """By the best of some passes of every shape on every engine."""
    engines: dict[str, float] = {}
    found: list[tuple[float, Shape, Run]] = []
    for shape in SHAPES:
        for engine, run in dense_runs(folder / "dense.onnx", shape, threads, is_int8=is_int8).items():
            speed = shape.operations / min(_seconds(run, PASSES))
            engines[engine] = max(speed, engines.get(engine, 0.0))
            found.append((speed, shape, run))
    _, shape, run = max(found, key=lambda one: one[0])
    return Dense(shape, run, engines)


def dense_graph(shape: Shape, *, is_int8: bool) -> onnx.ModelProto:
    """Convolutions and ReLUs, in INT8 between pairs as our files for CPUs have them (uint8 by int8)."""
    kind = TensorProto.UINT8 if is_int8 else TensorProto.FLOAT
    sides = [1, shape.channels, shape.side, shape.side]
    ends = [helper.make_tensor_value_info(name, kind, sides) for name in ("x", f"x{LAYERS}")]
    nodes, constants = [], list(_scales(shape.channels)) if is_int8 else []
    for layer in range(LAYERS):
        weights = np.random.default_rng(layer).integers(-127, 128, shape.weights, np.int8)
        constants.append(numpy_helper.from_array(weights if is_int8 else weights * np.float32(1e-3), f"w{layer}"))
        nodes += _layer(f"x{layer}" if layer else "x", f"w{layer}", f"x{layer + 1}", shape.kernel // 2, is_int8=is_int8)
    graph = helper.make_graph(nodes, "dense", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _scales(channels: int) -> Iterator[onnx.TensorProto]:
    """Of activations, and of weights per output channel."""
    values: dict[str, Any] = {"scale": np.float32(0.02), "zero": np.uint8(0)}
    values |= {"weight_scale": np.full(channels, 1e-3, np.float32), "weight_zero": np.zeros(channels, np.int8)}
    return (numpy_helper.from_array(np.asarray(value), name) for name, value in values.items())


def _layer(x: str, w: str, y: str, padding: int, *, is_int8: bool) -> list[onnx.NodeProto]:
    pads = {"pads": [padding] * 4}
    if not is_int8:
        return [helper.make_node("Conv", [x, w], [f"{y}.sum"], **pads), helper.make_node("Relu", [f"{y}.sum"], [y])]
    return [
        helper.make_node("DequantizeLinear", [x, "scale", "zero"], [f"{y}.in"]),
        helper.make_node("DequantizeLinear", [w, "weight_scale", "weight_zero"], [f"{y}.weights"], axis=0),
        helper.make_node("Conv", [f"{y}.in", f"{y}.weights"], [f"{y}.sum"], **pads),
        helper.make_node("Relu", [f"{y}.sum"], [f"{y}.relu"]),
        helper.make_node("QuantizeLinear", [f"{y}.relu", "scale", "zero"], [y]),
    ]


def dense_runs(path: Path, shape: Shape, threads: int, *, is_int8: bool) -> dict[str, Run]:
    """engine -> one pass of the dense graph, which is written to `path`."""
    onnx.save(dense_graph(shape, is_int8=is_int8), path)
    kind = np.uint8 if is_int8 else np.float32
    x = np.random.default_rng(1).integers(0, 256, (1, shape.channels, shape.side, shape.side)).astype(kind)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    request = core_of(openvino).compile_model(path, "CPU", hints).create_infer_request()
    return {"onnxruntime": lambda: session.run(None, {"x": x}), "openvino": lambda: request.infer([x])}


def bandwidth(threads: int) -> dict[int, float]:
    """Bytes read and written together -> bytes a second of a copy of that size: from the caches to the memory."""
    with ThreadPoolExecutor(threads) as pool:
        return {size: _copied(size, threads, pool) for size in COPIED_BYTES}


def _copied(size: int, threads: int, pool: ThreadPoolExecutor) -> float:
    """The best of some copies, each thread its part; small ones many times, for a thread is slow to hear of them."""
    times, part = max(1, COPIED_BYTES[-1] // 4 // size), size // 2 // threads
    pairs = [(np.ones(part, np.uint8), np.empty(part, np.uint8)) for _ in range(threads)]

    def copy(pair: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> None:
        for _ in range(times):
            np.copyto(pair[1], pair[0])

    return max(times * size / seconds for seconds in _seconds(lambda: list(pool.map(copy, pairs)), COPIES))


def _seconds(run: Run, times: int) -> Iterator[float]:
    run()
    for _ in range(times):
        started = perf_counter()
        run()
        yield perf_counter() - started
