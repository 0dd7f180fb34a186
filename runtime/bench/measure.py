"""Latency of a model on this machine in a closed loop: as fast as it can go, one frame at a time, after a warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.progress import progress
from runtime.gpu_state import gpu_state
from runtime.latency import summarise, total_ms
from runtime.machine import machine
from runtime.segmenter import Segmenter


@dataclass(frozen=True)
class BenchConfig:
    """How long to warm up and to measure; warm-up ends when both its limits are met."""

    warmup_frames: int = 10
    warmup_s: float = 1.0  # clocks, caches and thread pools settle within a second
    frames: int = 200


def bench(segmenter: Segmenter, frame: NDArray[np.uint8], config: BenchConfig) -> dict[str, Any]:
    """Milliseconds per stage over `config.frames` passes of one frame (H, W, 3) BGR; `total` is their sum."""
    _warm_up(segmenter, frame, config)
    samples: dict[str, list[float]] = {}
    with progress("measuring", config.frames) as step:
        started = perf_counter()
        for _ in range(config.frames):
            times = segmenter(frame).times_ms
            for stage, value in {**times, "total": total_ms(times)}.items():
                samples.setdefault(stage, []).append(value)
            step()
        seconds = perf_counter() - started
    gpu = gpu_state()  # while it is still as warm as the work made it
    return {
        "stages_ms": {stage: summarise(values) for stage, values in samples.items()},
        "fps": config.frames / seconds,
        "frame_hw": list(frame.shape[:2]),
        "model_hw": list(segmenter.session.facts.size_hw),
        "precision": segmenter.session.facts.precision,
        "device": segmenter.session.device,
        "machine": machine(),
        **({"gpu": gpu} if gpu else {}),
    }


def _warm_up(segmenter: Segmenter, frame: NDArray[np.uint8], config: BenchConfig) -> None:
    started, done = perf_counter(), 0
    while done < config.warmup_frames or perf_counter() - started < config.warmup_s:
        segmenter(frame)
        done += 1
