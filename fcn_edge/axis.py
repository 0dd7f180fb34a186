"""An axis: round numbers along a stretch of pixels, and where on it a value lies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """From the first tick at pixel `start` to the last at pixel `end`, which lies above or left of it where smaller."""

    ticks: tuple[float, ...]
    start: float
    end: float

    def place(self, value: float) -> float:
        return self.start + (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0]) * (self.end - self.start)

    def told(self, tick: float) -> str:
        """With as many places after the point as the step has."""
        return f"{tick:.{max(0, math.ceil(-math.log10(self.ticks[1] - self.ticks[0]) - 1e-6))}f}"


def axis(values: Sequence[float], start: float, end: float) -> Axis:
    """About five ticks that enclose the values, evenly spaced."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    spread = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(spread / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= spread / 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    if low == high:  # in the middle
        first, last = first - 1, last + 1
    return Axis(tuple(number * step for number in range(first, last + 1)), start, end)
