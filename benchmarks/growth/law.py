"""A power law through measured points: cost = factor * work ** exponent, by least squares of the logarithms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np

from runtime.bench.ratios import t_975


@dataclass(frozen=True)
class Law:
    """The exponent with its 95 % interval, which is None where two points leave nothing to judge by."""

    factor: float
    exponent: float
    interval: tuple[float, float] | None

    def at(self, work: float) -> float:
        return float(self.factor * work**self.exponent)

    def __str__(self) -> str:
        interval = f" ({self.interval[0]:.2f} to {self.interval[1]:.2f})" if self.interval else ""
        return f"{self.exponent:.2f}{interval}"


def power_law(work: Sequence[float], cost: Sequence[float]) -> Law:
    """Of at least two points above 0."""
    x, y = np.log(np.asarray(work, float)), np.log(np.asarray(cost, float))
    exponent, offset = (float(value) for value in np.polyfit(x, y, 1))
    freedom = len(x) - 2
    if freedom < 1:
        return Law(exp(offset), exponent, None)
    rest = y - (exponent * x + offset)
    error = float(np.sqrt((rest**2).sum() / freedom / ((x - x.mean()) ** 2).sum()))
    reach = t_975(freedom) * error
    return Law(exp(offset), exponent, (exponent - reach, exponent + reach))


def round_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten that enclose both, two at least, for a logarithmic axis."""
    ticks = [step * 10.0**power for power in range(int(log(low, 10)) - 2, int(log(high, 10)) + 3) for step in (1, 2, 5)]
    first = max(tick for tick in ticks if tick <= low * 1.0001)
    last = min(tick for tick in ticks if tick >= high * 0.9999 and tick > first)
    return [tick for tick in ticks if first <= tick <= last]
