"""Latency of a model on this machine in a closed loop: as fast as it can go, one frame at a time, after a warm-up."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.progress import progress
from fcn_edge.scoring import Segment
from runtime.latency import summarise
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
            for stage, value in {**times, "total": sum(times.values())}.items():
                samples.setdefault(stage, []).append(value)
            step()
        seconds = perf_counter() - started
    return {
        "stages_ms": {stage: summarise(values) for stage, values in samples.items()},
        "fps": config.frames / seconds,
        "frame_hw": list(frame.shape[:2]),
        "model_hw": list(segmenter.session.facts.size_hw),
        "precision": segmenter.session.facts.precision,
        "device": segmenter.session.device,
        "machine": machine(),
    }


def _warm_up(segmenter: Segmenter, frame: NDArray[np.uint8], config: BenchConfig) -> None:
    started, done = perf_counter(), 0
    while done < config.warmup_frames or perf_counter() - started < config.warmup_s:
        segmenter(frame)
        done += 1


def interleaved(
    segments: Mapping[str, Segment], frame: NDArray[np.uint8], rounds: int, frames: int
) -> dict[str, list[float]]:
    """The median milliseconds of each round of `frames`, in turns, so that a noisy neighbour disturbs all alike."""
    for segment in segments.values():
        for _ in range(frames):
            segment(frame)
    medians: dict[str, list[float]] = {name: [] for name in segments}
    for _ in range(rounds):
        for name, segment in segments.items():
            medians[name].append(median(_timed(segment, frame) for _ in range(frames)))
    return medians


def _timed(segment: Segment, frame: NDArray[np.uint8]) -> float:
    started = perf_counter()
    segment(frame)
    return 1e3 * (perf_counter() - started)


# What decides how fast a CPU multiplies small numbers, by Linux's names (x86, then ARM).
CPU_FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm")


def machine() -> dict[str, Any]:
    """What figures must be read with: processor, its features, the cores this process may use, system, Python."""
    features = _cpu_line("flags", "Features").split()
    return {
        "processor": _cpu_line("model name", "Model") or platform.processor() or platform.machine(),
        "features": [name for name in CPU_FEATURES if name in features],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_line(*keys: str) -> str:
    """The first line of /proc/cpuinfo that starts with one of `keys`, without its key; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(keys)), "")
