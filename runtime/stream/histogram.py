"""Milliseconds counted in buckets whose width grows with them: a week's p99 in constant memory.

The scheme of HdrHistogram (Tene): each power of two is cut in equal parts, so a value is told within 1/PARTS of it.
"""

from __future__ import annotations

import math

from runtime.latency import P99_FROM

PARTS = 64  # of each power of two: percentiles are within 0.8 % of the sample's value, its bucket's middle being told
LEAST_MS = 2.0**-10  # a microsecond; what is less is counted as this
OCTAVES = 31  # up to two million milliseconds, half an hour


class Histogram:
    """Counts of milliseconds. Not safe for several threads at once."""

    def __init__(self) -> None:
        self.counts = [0] * (PARTS * OCTAVES)
        self.n, self.sum_ms, self.max_ms = 0, 0.0, 0.0

    def add(self, value_ms: float) -> None:
        self.counts[_bucket(value_ms)] += 1
        self.n += 1
        self.sum_ms += value_ms
        self.max_ms = max(self.max_ms, value_ms)

    @property
    def mean_ms(self) -> float | None:
        return self.sum_ms / self.n if self.n else None

    def percentile(self, percent: float) -> float | None:
        """By nearest rank; None where there are too few samples to tell it: p99 wants 100."""
        if self.n == 0 or (percent >= 99 and self.n < P99_FROM):
            return None
        rank, seen = max(1, math.ceil(percent / 100 * self.n)), 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if seen >= rank:
                return min(_middle(bucket), self.max_ms)
        return self.max_ms


def _bucket(value_ms: float) -> int:
    fraction, exponent = math.frexp(max(value_ms, LEAST_MS) / LEAST_MS)  # fraction in 0.5 .. 1
    return min((exponent - 1) * PARTS + int((2 * fraction - 1) * PARTS), PARTS * OCTAVES - 1)


def _middle(bucket: int) -> float:
    octave, part = divmod(bucket, PARTS)
    return LEAST_MS * 2.0**octave * (1 + (part + 0.5) / PARTS)
