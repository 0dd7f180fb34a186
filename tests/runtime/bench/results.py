"""A bench's result without a bench, for tests of what is made of results."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from runtime.bench.result import CLOSED, BenchResult, BenchSettings, ColdStart, Energy, Memory, ModelDigest
from runtime.latency import summarise

SETTINGS = BenchSettings("openvino", "int8-cpu", None, (360, 480), (360, 480), 1.0, 10, None, 30.0, 1.0)

RESULT = BenchResult(
    date="2026-11-24T12:00:00+00:00",
    version="0.1.0",
    mode=CLOSED,
    rate=None,
    settings=SETTINGS,
    model=ModelDigest("model.int8-cpu.onnx", 64 * "a", 4_500_000),
    device="openvino 2026.1, CPU, f32, all cores",
    machine={"processor": "AMD EPYC", "cores": 2, "features": ["AVX2"]},
    stages_ms={name: summarise([1.0, 2.0, 3.0]) for name in ("resize", "infer", "restore", "total")},
    windows_ms=(2.0, 2.1, 2.0),
    stable=True,
    stability="the last 3 windows agree within 5.0 %",
    fps=87.0,
    frames=261,
    state={"before": {}, "during": {"throttle": ["power limit"]}, "after": {}},
    energy=(Energy("VDD_IN", 9.5, 5.0, 0.11),),
    memory=Memory(1 << 30, 1 << 29, None),
    cold_start=ColdStart(1.2, 0.6, 0.5, 0.1, 3),
)


def result(**changes: Any) -> BenchResult:
    return replace(RESULT, **changes)
