"""What a loop's answers come to: samples of each stage, latencies over time, the median of each window."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median

from runtime.bench.loops import Answer
from runtime.bench.result import TOTAL
from runtime.bench.stability import Stability, stability
from runtime.latency import summarise

WINDOW_FRAMES = 10  # a window's median is of so many at least, however slow the model

GPU_PARTS = ("infer.h2d", "infer.compute", "infer.d2h")
GPU_SUM = "infer.gpu"  # what trtexec calls latency


class Samples:
    """Grows by each answer: some hundred bytes."""

    def __init__(self, window_s: float) -> None:
        """A window lasts `window_s`, or longer until it holds WINDOW_FRAMES."""
        self.stages_ms: dict[str, list[float]] = {}
        self.totals_ms: list[float] = []
        self.came_s: list[float] = []  # when each of them came or was due, since the loop began
        self.windows_ms: list[float] = []
        self.seconds = 0.0
        self.masks = 0
        self.is_stable = False  # as of the last window's end
        self._window_s, self._began_s, self._window = window_s, 0.0, list[float]()

    def add(self, answer: Answer) -> None:
        for stage, value in _with_gpu_sum(answer.times_ms).items():
            self.stages_ms.setdefault(stage, []).append(value)
        self.totals_ms += answer.latencies_ms
        self.came_s += [answer.at_s - latency / 1e3 for latency in answer.latencies_ms]
        self.seconds = answer.at_s
        self.masks += 1
        self._extend_window(answer)

    def _extend_window(self, answer: Answer) -> None:
        self._window += answer.latencies_ms
        if answer.at_s - self._began_s >= self._window_s and len(self._window) >= WINDOW_FRAMES:
            self.windows_ms.append(median(self._window))
            self._began_s, self._window = answer.at_s, []
            self.is_stable = self.stability().stable

    @property
    def frames(self) -> int:
        return len(self.totals_ms)

    def summary(self) -> dict[str, dict[str, float | None]]:
        """stage -> n, mean, percentiles and max, the total last; of at least one answer."""
        return {stage: summarise(values) for stage, values in {**self.stages_ms, TOTAL: self.totals_ms}.items()}

    def stability(self) -> Stability:
        return stability(self.windows_ms, median(self.totals_ms))

    def late(self, rate: float) -> int:
        """Frames that had no mask when the next was due."""
        return sum(latency > 1e3 / rate for latency in self.totals_ms)


def _with_gpu_sum(times_ms: Mapping[str, float]) -> dict[str, float]:
    """After its parts, where the engine tells them."""
    told: dict[str, float] = {}
    for stage, value in times_ms.items():
        told[stage] = value
        if stage == GPU_PARTS[-1] and all(part in times_ms for part in GPU_PARTS):
            told[GPU_SUM] = sum(times_ms[part] for part in GPU_PARTS)
    return told
