"""Latency over time as SVG: where it drifts, where it jumps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fcn_edge.axis import Axis, axis
from fcn_edge.svg import FONT_PX, WIDTH, drawing, line, polyline, text

LEFT, RIGHT, TOP, HEIGHT, BOTTOM = 64, 24, 30, 240, 46  # pixels: a plot and its margins
MOST_POINTS = WIDTH - LEFT - RIGHT  # a stretch of time is no narrower than a pixel


def time_chart(came_s: Sequence[float], latencies_ms: Sequence[float]) -> str:
    """Of each frame, by when it came. Of a crowd within a pixel the least and the most are drawn: no peak is lost."""
    across = axis([0.0, *came_s], LEFT, WIDTH - RIGHT)
    up = axis([0.0, *latencies_ms], TOP + HEIGHT, TOP)
    points = thinned(came_s, latencies_ms)
    course = polyline([(across.place(at), up.place(value)) for at, value in points])
    return drawing(WIDTH, TOP + HEIGHT + BOTTOM, [*_grid(across, up), course])


def thinned(came_s: Sequence[float], latencies_ms: Sequence[float]) -> list[tuple[float, float]]:
    """At most twice MOST_POINTS pairs, in the order of time."""
    pairs = sorted(zip(came_s, latencies_ms, strict=True))
    size = -(-len(pairs) // MOST_POINTS)
    crowds = (pairs[start : start + size] for start in range(0, len(pairs), size))
    return [pair for crowd in crowds for pair in _ends(crowd)]


def _ends(crowd: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    ends = {min(crowd, key=lambda pair: pair[1]), max(crowd, key=lambda pair: pair[1])}
    return sorted(ends)


def _grid(across: Axis, up: Axis) -> Iterator[str]:
    foot = TOP + HEIGHT
    yield text(LEFT, TOP - FONT_PX, "latency of each frame, ms", "start")
    for tick in across.ticks:
        yield line(across.place(tick), TOP, across.place(tick), foot)
        yield text(across.place(tick), foot + 17, across.told(tick), "middle")
    for tick in up.ticks:
        yield line(LEFT, up.place(tick), WIDTH - RIGHT, up.place(tick))
        yield text(LEFT - 7, up.place(tick) + 4, up.told(tick), "end")
    yield text((LEFT + WIDTH - RIGHT) / 2, foot + BOTTOM - 8, "seconds since the warm-up", "middle")
