"""Latency of one engine with and without CUDA graph, in turns: the GPU's own parts, and the whole from frame to mask.

Latency is trtexec's: h2d + compute + d2h of one frame, by CUDA events. Where it differs: one frame is under way at a
time (trtexec overlaps two, so its throughput is higher), percentiles are interpolated, and transfers and spinning do
not depend on the version (trtexec changed both defaults in 11).
"""

from __future__ import annotations

from contextlib import ExitStack
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.engine_proof import ProvedEngine
from runtime.gpu_state import gpu_state
from runtime.latency import PART, summarise, total_ms
from runtime.segmenter import Segmenter
from runtime.trt_session import TrtSession

MODES = {"CUDA graph": True, "enqueue": False}
WARM_UP_FRAMES = 50
ROUNDS, FRAMES = 10, 100  # of each mode
UNSTEADY = 0.025  # trtexec warns of this coefficient of variation

Samples = dict[str, list[dict[str, float]]]  # mode -> the times of each frame


def measured(proved: ProvedEngine, frame: NDArray[np.uint8], ends_at: float) -> dict[str, Any]:
    """mode -> figures of every stage; fewer rounds where the time is over, but never less than one."""
    with ExitStack() as stack:
        segmenters = {
            mode: Segmenter(stack.enter_context(TrtSession(proved.path, proved.facts, cuda_graph=graph)))
            for mode, graph in MODES.items()
        }
        devices = {mode: segmenter.session.device for mode, segmenter in segmenters.items()}
        samples = _in_turns(segmenters, frame, ends_at)
    return {mode: {"device": devices[mode], **_figures(times)} for mode, times in samples.items()} | {
        "state": gpu_state()
    }


def _in_turns(segmenters: dict[str, Segmenter], frame: NDArray[np.uint8], ends_at: float) -> Samples:
    for segmenter in segmenters.values():
        for _ in range(WARM_UP_FRAMES):
            segmenter(frame)
    samples: Samples = {mode: [] for mode in segmenters}
    for number in range(ROUNDS):
        if number and monotonic() > ends_at:
            break
        for mode, segmenter in segmenters.items():
            samples[mode] += [segmenter(frame).times_ms for _ in range(FRAMES)]
    return samples


def _figures(times: list[dict[str, float]]) -> dict[str, Any]:
    rows = [{**one, "latency": _gpu_ms(one), "end to end": total_ms(one)} for one in times]
    stages = {stage: [row[stage] for row in rows] for stage in rows[0]}
    summary = {stage: summarise(values) for stage, values in stages.items()}
    return {"stages_ms": summary, "steady": _is_steady(stages["latency"])}


def _gpu_ms(times_ms: dict[str, float]) -> float:
    return sum(value for stage, value in times_ms.items() if PART in stage)


def _is_steady(latencies_ms: list[float]) -> bool:
    values = np.array(latencies_ms)
    return bool(values.std() / values.mean() < UNSTEADY)
