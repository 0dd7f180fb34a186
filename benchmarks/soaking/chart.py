"""The course of a soak in four strips: memory, descriptors, threads, frames a second; below them what was failing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks.soaking.record import Outage, Sample, Soak
from fcn_edge.axis import Axis, axis
from fcn_edge.svg import drawing, line, polyline, rectangle, text

WIDTH, LEFT, RIGHT = 1000, 96, 12  # pixels
STRIP, GAP, LANE = 110, 26, 13

Value = Callable[[Sample], float | None]

STRIPS: Sequence[tuple[str, Value]] = (
    ("memory, MB", lambda sample: sample.held.own_bytes / 1e6),
    ("descriptors", lambda sample: sample.held.descriptors),
    ("threads", lambda sample: sample.held.threads),
    ("frames a second", lambda sample: sample.fps),
)


def chart(seen: Soak) -> str:
    """SVG. Calm is marked on the foot of the strips, outages as bars in a lane for each victim."""
    across = _up_to(seen.samples[-1].at_s / 60)
    parts, top = [], 8.0
    for number, (name, of) in enumerate(STRIPS):
        parts += _strip(seen.samples, name, of, across, top, number)
        top += STRIP + GAP
    victims = sorted({outage.what for outage in seen.outages})
    for victim in victims:
        parts += _lane([outage for outage in seen.outages if outage.what == victim], victim, across, top)
        top += LANE + 3
    for tick in across.ticks[:-1]:
        parts.append(text(across.place(tick), top + 16, across.told(tick), "middle"))
    parts.append(text((LEFT + WIDTH) / 2, top + 36, "minutes; blue fails, red comes back", "middle"))
    return drawing(WIDTH, top + 44, parts)


def _up_to(minutes: float) -> Axis:
    """As wide as there is room for: its last tick may lie beyond."""
    ticks = axis([0.0, minutes], 0, 1).ticks
    return Axis(ticks, LEFT, LEFT + (WIDTH - RIGHT - LEFT) * ticks[-1] / minutes)


def _strip(samples: Sequence[Sample], name: str, of: Value, across: Axis, top: float, number: int) -> Iterator[str]:
    points = [(sample.at_s / 60, value) for sample in samples if (value := of(sample)) is not None]
    up = axis([0.0, *(value for _, value in points)], top + STRIP, top)
    for tick in up.ticks:
        yield line(LEFT, up.place(tick), WIDTH - RIGHT, up.place(tick))
        yield text(LEFT - 7, up.place(tick) + 4, up.told(tick), "end")
    yield text(14, top + STRIP / 2, name, "middle", turned=True)
    yield polyline([(across.place(at), up.place(value)) for at, value in points], number)
    for sample in samples:
        if sample.is_calm:
            yield rectangle(across.place(sample.at_s / 60), top + STRIP + 2, 1.5, 4, 5)


def _lane(outages: Sequence[Outage], name: str, across: Axis, top: float) -> Iterator[str]:
    yield text(LEFT - 7, top + LANE - 2, name, "end")
    for outage in outages:
        began, returned = across.place(outage.began_s / 60), across.place(outage.returned_s / 60)
        over = across.place((outage.recovered_s or outage.returned_s + 60) / 60)
        yield rectangle(began, top, max(returned - began, 0.8), LANE, 0)
        yield rectangle(returned, top, max(over - returned, 0.8), LANE, 4)
