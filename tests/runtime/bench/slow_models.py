"""Segmenters whose model takes the time that it is told to take."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.bench.shots import one_frame
from runtime.segmenter import Segmenter
from runtime.session import FakeSession

SIZE_HW = (4, 6)
SHOTS = one_frame(np.zeros((*SIZE_HW, 3), np.uint8))


class Clock:
    """A clock that moves when somebody sleeps or works, and never else."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds


def segmenter_of(seconds: Callable[[int], float], sleep: Callable[[float], None] = time.sleep) -> Segmenter:
    """Frame after frame, counted from 0, takes so long."""
    passes = 0

    def infer(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        nonlocal passes
        passes += 1
        sleep(seconds(passes - 1))
        return frame[..., 0] * np.uint8(0)  # whatever the picture: a class that there is

    return Segmenter(FakeSession(infer, STREET_LABELS, SIZE_HW))
