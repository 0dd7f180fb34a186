"""What the stream measures of itself: times of stages and ages, of the last ten seconds, the last minute, the whole."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import numpy as np

from runtime.latency import P99_FROM, PERCENTILES
from runtime.stream.histogram import Histogram
from runtime.stream.status import Second, Spread

WINDOW_S = 10
HISTORY_S = 60
AGE_AT_MASK, AGE_AT_WIRE = "frame to mask", "frame to wire"  # rows of the summary beside the stages
MOST_SAMPLES = 5000  # of a stage in the window: ten seconds of a source that is faster than any camera

Recent = deque[tuple[float, float]]  # (monotonic seconds, milliseconds), those of the window


@dataclass
class _Sum:
    """One second, while it is being counted."""

    at_s: int
    segmented: int = 0
    dropped: int = 0
    age_ms: list[float] = field(default_factory=list)
    stages: dict[str, tuple[int, float]] = field(default_factory=dict)  # how many, and their sum

    def add(self, stage: str, value_ms: float) -> None:
        count, total = self.stages.get(stage, (0, 0.0))
        self.stages[stage] = count + 1, total + value_ms


class Measures:
    """Safe for many threads. Memory does not grow with time."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._whole: dict[str, Histogram] = {}
        self._window: dict[str, Recent] = {}
        self._moments: deque[float] = deque(maxlen=MOST_SAMPLES)  # when masks were ready
        self._ages: dict[str, Recent] = {"mask": _recent(), "wire": _recent()}
        self._seconds: deque[_Sum] = deque(maxlen=HISTORY_S)

    def add(self, times_ms: Mapping[str, float]) -> None:
        """What stages took."""
        with self._lock:
            now = self._clock()
            second = self._second(now)
            for stage, value in times_ms.items():
                self._whole.setdefault(stage, Histogram()).add(value)
                _keep(self._window.setdefault(stage, _recent()), now, value)
                second.add(stage, value)

    def segmented(self, age_ms: float | None) -> None:
        """A mask is ready. A file's frames have no age: it waits for whoever reads it."""
        with self._lock:
            now = self._clock()
            self._moments.append(now)
            second = self._second(now)
            second.segmented += 1
            if age_ms is not None:
                _keep(self._ages["mask"], now, age_ms)
                second.age_ms.append(age_ms)
                self._whole.setdefault(AGE_AT_MASK, Histogram()).add(age_ms)

    def dropped(self, count: int = 1) -> None:
        with self._lock:
            self._second(self._clock()).dropped += count

    def on_wire(self, age_ms: float) -> None:
        """A viewer was sent a frame of this age."""
        with self._lock:
            _keep(self._ages["wire"], self._clock(), age_ms)
            self._whole.setdefault(AGE_AT_WIRE, Histogram()).add(age_ms)

    def _second(self, now: float) -> _Sum:
        if not self._seconds or self._seconds[-1].at_s != int(now):
            self._seconds.append(_Sum(int(now)))
        return self._seconds[-1]

    def stages_ms(self) -> dict[str, Spread]:
        """Of the last ten seconds."""
        with self._lock:
            oldest = self._clock() - WINDOW_S
            spreads = {stage: _spread(samples, oldest) for stage, samples in self._window.items()}
        return {stage: spread for stage, spread in spreads.items() if spread.n}

    def age_ms(self, where: str) -> Spread:
        """`mask` or `wire`, of the last ten seconds."""
        with self._lock:
            return _spread(self._ages[where], self._clock() - WINDOW_S)

    def segmented_fps(self) -> float:
        """Over the last ten seconds, or since the first frame where that is less."""
        with self._lock:
            now = self._clock()
            moments = [at for at in self._moments if at > now - WINDOW_S]
            return len(moments) / max(now - moments[0], 1.0) if len(moments) > 1 else 0.0

    def history(self) -> list[Second]:
        """The last minute, second by second; the one that is not over is left out."""
        with self._lock:
            now = int(self._clock())
            return [_second_told(one, now) for one in self._seconds if now - HISTORY_S <= one.at_s < now]

    def summary(self) -> dict[str, dict[str, Any]]:
        """stage -> n, mean, percentiles and max, in milliseconds, of the whole run."""
        with self._lock:
            return {stage: _summarised(histogram) for stage, histogram in self._whole.items()}


def _recent() -> Recent:
    return deque(maxlen=MOST_SAMPLES)


def _keep(samples: Recent, now: float, value: float) -> None:
    """And forget those that left the window."""
    samples.append((now, value))
    while samples[0][0] <= now - WINDOW_S:
        samples.popleft()


def _spread(samples: Iterable[tuple[float, float]], oldest: float) -> Spread:
    values = [value for at, value in samples if at > oldest]
    if not values:
        return Spread()
    p50, p95, p99 = (float(value) for value in np.percentile(values, (50, 95, 99)))
    return Spread(len(values), p50, p95, p99 if len(values) >= P99_FROM else None)


def _second_told(one: _Sum, now: int) -> Second:
    means = {stage: total / count for stage, (count, total) in one.stages.items()}
    age = sum(one.age_ms) / len(one.age_ms) if one.age_ms else None
    return Second(now - one.at_s, one.segmented, one.dropped, means, age)


def _summarised(histogram: Histogram) -> dict[str, Any]:
    told = {f"p{percent}": histogram.percentile(percent) for percent in PERCENTILES}
    return {"n": histogram.n, "mean": histogram.mean_ms, **told, "max": histogram.max_ms}
