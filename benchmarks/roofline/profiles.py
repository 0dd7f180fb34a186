"""Where a pass of a network spends its time, by the engines' own profilers, per stage of `work`."""

from __future__ import annotations

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np
import onnxruntime
import openvino
from numpy.typing import NDArray

from benchmarks.roofline.work import INPUT
from runtime.openvino_session import core_of

Nodes = list[tuple[str, float]]  # what a pass executed, in order: its name in the engine, milliseconds

# What engines add to the names of a graph's nodes and tensors when they rewrite it.
ADDED = re.compile(r"(_kernel_time|_token_\d+|_nchwc|/WithoutBiases|/duplicated)+$")


class Profiled(Protocol):
    """A session whose profiler is on."""

    def infer(self, frame: NDArray[np.uint8]) -> Any: ...

    def passes(self) -> list[Nodes]:
        """Of every pass so far, in order; no pass may follow."""


class OpenVinoProfiled:
    def __init__(self, path: Path, threads: int) -> None:
        hints = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        model = core_of(openvino).compile_model(path, "CPU", {**hints, "PERF_COUNT": True})
        self._request, self._passes = model.create_infer_request(), list[Nodes]()

    def infer(self, frame: NDArray[np.uint8]) -> None:
        self._request.infer({0: openvino.Tensor(frame[None])})
        told = self._request.profiling_info
        self._passes.append([(node.node_name, 1e3 * node.real_time.total_seconds()) for node in told])

    def passes(self) -> list[Nodes]:
        return self._passes


class OrtProfiled:
    def __init__(self, path: Path, threads: int) -> None:
        self._folder = tempfile.TemporaryDirectory()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.enable_profiling = True
        options.profile_file_prefix = f"{self._folder.name}/profile"
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._entry, self._count = self._session.get_inputs()[0].name, 0

    def infer(self, frame: NDArray[np.uint8]) -> None:
        self._session.run(None, {self._entry: frame[None]})
        self._count += 1

    def passes(self) -> list[Nodes]:
        with self._folder:
            events = json.loads(Path(self._session.end_profiling()).read_text(encoding="utf-8"))
        nodes = [(event["name"], 1e-3 * event["dur"]) for event in events if event.get("cat") == "Node"]
        each = len(nodes) // self._count
        return [nodes[start : start + each] for start in range(0, each * self._count, each)]


PROFILERS: dict[str, type[OpenVinoProfiled] | type[OrtProfiled]] = {
    "onnxruntime": OrtProfiled,
    "openvino": OpenVinoProfiled,
}


def per_stage(passes: Iterable[Nodes], stage_of: Mapping[str, str]) -> dict[str, float]:
    """stage -> the median milliseconds over passes. A node that only the engine knows belongs to the one before it."""
    found: dict[str, list[float]] = {}
    for nodes in passes:
        stage, spent = INPUT, defaultdict[str, float](float)
        for name, ms in nodes:
            stage = stage_of.get(ADDED.sub("", name), stage)
            spent[stage] += ms
        for stage, ms in spent.items():
            found.setdefault(stage, []).append(ms)
    return {stage: median(values) for stage, values in found.items()}
