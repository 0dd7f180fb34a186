"""How many times as long one thing takes as another, with a 95 % interval: the arithmetic alone, no measuring.

The unit is the spell: some seconds with sessions of their own. Frames of a spell are neighbours, and what a session
got at its opening (memory, threads) stays with it, so a thousand frames of one spell say little more than a hundred;
the spread between spells holds all of it (Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, variance

FEWEST = 3  # spells, for an interval at all
# 97.5 % points of Student's t, by degrees of freedom from 1 on.
T_975 = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)

Blocks = Sequence[float]  # milliseconds: the median of each block of frames, in the order of the rounds


@dataclass(frozen=True)
class Interval:
    """A figure above 0 and the ends of its 95 % interval, which lie equally far from it as ratios."""

    value: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """As a fraction: 0.03 is 3 % to either side."""
        return math.sqrt(self.high / self.low) - 1

    @property
    def inverse(self) -> Interval:
        return Interval(1 / self.value, 1 / self.high, 1 / self.low)

    def told(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"

    def to_json(self) -> dict[str, float]:
        return {"value": self.value, "low": self.low, "high": self.high}


def median_ms(spells: Sequence[Blocks]) -> Interval:
    """Of a frame in milliseconds, over at least FEWEST spells."""
    return _interval([math.log(median(blocks)) for blocks in spells])


def paired_ratio(spells: Sequence[Blocks], reference: Sequence[Blocks]) -> Interval:
    """Time over the reference's, both measured in the same rounds of the same spells: what slows both cancels."""
    pairs = zip(spells, reference, strict=True)
    return _interval([median(_log_ratios(blocks, others)) for blocks, others in pairs])


def ratio_of_runs(now: Sequence[Blocks], then: Sequence[Blocks], allowance: float = 0.0) -> Interval:
    """Time over that of another run, whose spells are no pairs of these (Welch's interval).

    `allowance`, a fraction, is for what no spell of either run has seen: the difference between the runs themselves.
    """
    runs = [[math.log(median(blocks)) for blocks in run] for run in (now, then)]
    parts = [variance(logs) / len(logs) for logs in runs]
    half = math.hypot(_welch_t(parts, [len(logs) for logs in runs]) * math.sqrt(sum(parts)), math.log1p(allowance))
    return _around(mean(runs[0]) - mean(runs[1]), half)


def is_different(ratio: Interval) -> bool:
    """Whether 1 lies outside: as told, to two places, for nobody should choose by half a percent."""
    return round(ratio.low, 2) > 1 or round(ratio.high, 2) < 1


def verdict(name: str, other: str, ratio: Interval) -> str:
    """In words; `ratio` is the time of `name` over that of `other`."""
    if not is_different(ratio):
        return f"no difference seen between {name} and {other}: {ratio.told()} times as long"
    if ratio.value > 1:
        return f"{other} is {_speed(ratio)} as fast as {name}"
    return f"{name} is {_speed(ratio.inverse)} as fast as {other}"


def _speed(ratio: Interval) -> str:
    return f"{ratio.value:.2f}x ({ratio.low:.2f} to {ratio.high:.2f})"


def _log_ratios(blocks: Blocks, others: Blocks) -> list[float]:
    return [math.log(one / other) for one, other in zip(blocks, others, strict=True)]


def _interval(logs: Sequence[float]) -> Interval:
    """Of the mean of independent logarithms."""
    return _around(mean(logs), t_975(len(logs) - 1) * math.sqrt(variance(logs) / len(logs)))


def _around(middle: float, half: float) -> Interval:
    return Interval(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


def _welch_t(parts: Sequence[float], counts: Sequence[int]) -> float:
    """With Satterthwaite's degrees of freedom, rounded down."""
    spread = sum(part**2 / (count - 1) for part, count in zip(parts, counts, strict=True))
    return t_975(int(sum(parts) ** 2 / spread) if spread else min(counts) - 1)


def t_975(freedom: int) -> float:
    """Past the table 1.96 (1 + 1.2 / freedom), which is right to 0.004."""
    return T_975[freedom - 1] if freedom <= len(T_975) else 1.96 * (1 + 1.2 / freedom)
