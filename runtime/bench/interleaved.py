"""Several models measured in turns, so that a noisy neighbour disturbs all alike."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from fcn_edge.scoring import Segment


def interleaved(
    segments: Mapping[str, Segment], frame: NDArray[np.uint8], rounds: int, frames: int
) -> dict[str, list[float]]:
    """The median milliseconds of each round of `frames`, after one round of each to warm up."""
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
