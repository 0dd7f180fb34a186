"""How often each latency came, as SVG, on a scale of ratios: a pause of a second stands beside masks of ten ms."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fcn_edge.axis import Axis, axis
from fcn_edge.svg import FONT_PX, WIDTH, drawing, line, rectangle, text

LEFT, RIGHT, TOP, HEIGHT, BOTTOM = 64, 130, 76, 200, 46  # pixels: a plot and its margins; labels go to the right
LABELS = 10  # above those of the marks
MOST_BINS, FEWEST_BINS = 90, 12
FEW = 20  # times the least: an axis that is shorter crosses few of 1, 2, 5, 10, ...
LEAST_PX = 2.0  # of a bar that is not empty: one frame in ten thousand is what one looks for
MARKED = ("p50", "p95", "p99")


@dataclass(frozen=True)
class RatioAxis:
    """From `low` to `high`, above 0, along WIDTH; equal ratios are equally long."""

    low: float
    high: float

    def place(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return LEFT + share * (WIDTH - RIGHT - LEFT)

    @property
    def ticks(self) -> list[float]:
        """Round numbers: 1, 2 and 5 times powers of ten, or evenly spaced ones where those would be few."""
        if self.high < FEW * self.low:
            return [tick for tick in axis([self.low, self.high], 0, 1).ticks if self.low <= tick <= self.high]
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
        ticks = (factor * 10.0**power for power in powers for factor in (1, 2, 5))
        return [tick for tick in ticks if self.low <= tick <= self.high]


def histogram_chart(latencies_ms: Sequence[float], figures: Mapping[str, float | None]) -> str:
    """Of all frames, with lines at those of `figures` that are MARKED and known."""
    values = np.array(latencies_ms)
    across = RatioAxis(0.95 * values.min(), 1.05 * values.max())
    bins = min(MOST_BINS, max(FEWEST_BINS, round(3 * math.sqrt(len(values)))))
    edges = np.geomspace(across.low, across.high, bins + 1)
    counts, _ = np.histogram(values, edges)
    up = axis([0.0, float(counts.max())], TOP + HEIGHT, TOP)
    bars = _bars(across, up, counts.tolist(), edges.tolist())
    return drawing(WIDTH, TOP + HEIGHT + BOTTOM, [*_grid(across, up), *bars, *_marks(across, figures)])


def _bars(across: RatioAxis, up: Axis, counts: Sequence[int], edges: Sequence[float]) -> Iterator[str]:
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        if count:
            high = max(LEAST_PX, up.start - up.place(count))
            x = across.place(left)
            yield rectangle(x, up.start - high, max(1.0, across.place(right) - x - 0.5), high)


def _grid(across: RatioAxis, up: Axis) -> Iterator[str]:
    yield text(LEFT, FONT_PX, "frames", "start")
    for tick in up.ticks:
        yield line(LEFT, up.place(tick), WIDTH - RIGHT, up.place(tick))
        yield text(LEFT - 7, up.place(tick) + 4, up.told(tick), "end")
    for tick in across.ticks:
        yield line(across.place(tick), TOP, across.place(tick), TOP + HEIGHT)
        yield text(across.place(tick), TOP + HEIGHT + 17, f"{tick:g}", "middle")
    yield text((LEFT + WIDTH - RIGHT) / 2, TOP + HEIGHT + BOTTOM - 8, "latency, ms", "middle")


def _marks(across: RatioAxis, figures: Mapping[str, float | None]) -> Iterator[str]:
    """Each label in a line of its own, the least on top: no mark of a greater one crosses it."""
    known = [(name, value) for name in MARKED if (value := figures[name]) is not None]
    for number, (name, value) in enumerate(known, start=1):
        base, x = LABELS + number * (FONT_PX + 2), across.place(value)
        yield rectangle(x, base, 1.5, TOP + HEIGHT - base, number)
        yield text(x + 6, base + 8, f"{name} {value:.4g} ms", "start")
