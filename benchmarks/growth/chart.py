"""Costs over work on two logarithmic axes, where a power law is a straight line and its exponent the slope."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import log

from benchmarks.growth.law import Law, round_ticks
from fcn_edge.svg import FONT_PX, WIDTH, dot, drawing, line, polyline, rectangle, text, width_of

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 70, 24, 52, 46  # pixels: of the whole, and margins
SWATCH = 12

Points = Mapping[float, float]  # work -> cost, both above 0


class LogAxis:
    """From the first tick at pixel `start` to the last at pixel `end`."""

    def __init__(self, ticks: Sequence[float], start: float, end: float) -> None:
        self.ticks, self.start, self.end = ticks, start, end

    def place(self, value: float) -> float:
        share = log(value / self.ticks[0]) / log(self.ticks[-1] / self.ticks[0])
        return self.start + share * (self.end - self.start)


def law_chart(series: Mapping[str, Points], laws: Mapping[str, Law], x: str, y: str) -> str:
    """SVG. Each series has its points and its law as a line, whose exponent stands beside its name."""
    work = [value for points in series.values() for value in points]
    costs = [value for points in series.values() for value in points.values()]
    across = LogAxis(round_ticks(min(work), max(work)), LEFT, WIDTH - RIGHT)
    up = LogAxis(round_ticks(min(costs), max(costs)), HEIGHT - BOTTOM, TOP)
    parts = [*_grid(across, up, x, y)]
    left = float(LEFT)
    for number, (name, points) in enumerate(series.items()):
        law = laws[name]
        ends = [(across.place(end), up.place(law.at(end))) for end in (min(points), max(points))]
        parts += [polyline(ends, number, opacity=0.5)]
        parts += [dot(across.place(value), up.place(cost), number) for value, cost in points.items()]
        told = f"{name}: exponent {law.exponent:.2f}"
        parts += [rectangle(left, 6, SWATCH, SWATCH, number), text(left + SWATCH + 6, 6 + FONT_PX - 2, told, "start")]
        left += SWATCH + 24 + width_of(told)
    return drawing(WIDTH, HEIGHT, parts)


def _grid(across: LogAxis, up: LogAxis, x: str, y: str) -> Iterator[str]:
    foot = HEIGHT - BOTTOM
    for tick in across.ticks:
        yield line(across.place(tick), TOP, across.place(tick), foot)
        yield text(across.place(tick), foot + 17, _told(tick), "middle")
    for tick in up.ticks:
        yield line(LEFT, up.place(tick), WIDTH - RIGHT, up.place(tick))
        yield text(LEFT - 7, up.place(tick) + 4, _told(tick), "end")
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x, "middle")
    yield text(14, (TOP + foot) / 2, y, "middle", turned=True)


def _told(tick: float) -> str:
    if tick >= 1e6:
        return f"{tick / 1e6:g}M"
    return f"{tick / 1e3:g}k" if tick >= 1e4 else f"{tick:g}"
