"""The course of a training as SVG text: a panel for each figure, one below the other, over the same epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fcn_edge.axis import Axis, axis
from fcn_edge.svg import WIDTH, dot, drawing, line, polyline, text

LEFT, RIGHT, TOP, PANEL, BETWEEN, BOTTOM = 64, 24, 24, 130, 42, 42  # pixels: margins, and a panel's height
CROWD = 40  # values; fewer have a dot each

Curve = Mapping[int, float]  # epoch, counted from 1, to its value


def curves_chart(curves: Mapping[str, Curve], *, peaks: Sequence[str] = ()) -> str:
    """A panel under each name; the highest value of those in `peaks` is told."""
    epochs = [epoch for curve in curves.values() for epoch in curve]
    across = Axis(_whole_ticks(max(epochs, default=1)), LEFT, WIDTH - RIGHT)
    parts: list[str] = []
    foot = 0.0
    for number, (name, curve) in enumerate(curves.items()):
        top = TOP + number * (PANEL + BETWEEN)
        foot = top + PANEL
        up = axis(list(curve.values()), foot, top)
        parts += [*_grid(across, up, name), *_course(across, up, curve, number, told=name in peaks)]
    parts += [text(across.place(tick), foot + 17, across.told(tick), "middle") for tick in across.ticks]
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, foot + BOTTOM - 8, "epoch", "middle"))
    return drawing(WIDTH, foot + BOTTOM, parts)


def _whole_ticks(last: int) -> tuple[float, ...]:
    """From 0 in round steps, about eight, to at least the last epoch."""
    power = 10 ** max(0, len(str(last)) - 2)
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor * 8 >= last)
    return tuple(float(epoch) for epoch in range(0, last + step, step))


def _grid(across: Axis, up: Axis, name: str) -> Iterator[str]:
    yield text(LEFT, up.end - 9, name, "start")
    for tick in across.ticks:
        yield line(across.place(tick), up.start, across.place(tick), up.end)
    for tick in up.ticks:
        yield line(LEFT, up.place(tick), WIDTH - RIGHT, up.place(tick))
        yield text(LEFT - 7, up.place(tick) + 4, up.told(tick), "end")


def _course(across: Axis, up: Axis, curve: Curve, number: int, *, told: bool) -> Iterator[str]:
    places = {epoch: (across.place(epoch), up.place(value)) for epoch, value in sorted(curve.items())}
    yield polyline(list(places.values()), number)
    if len(places) < CROWD:
        yield from (dot(x, y, number, radius=2.5) for x, y in places.values())
    if told and curve:
        peak = max(curve, key=lambda epoch: curve[epoch])
        yield dot(*places[peak], number)
        words = f"highest {curve[peak]:.4g} in epoch {peak}"
        yield text(WIDTH - RIGHT, up.end - 9, words, "end")
