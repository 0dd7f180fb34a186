"""Mean IoU by the width of a band around borders, a line for each network, named at its end. SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fcn_edge.axis import Axis, axis
from fcn_edge.svg import FONT_PX, WIDTH, drawing, line, polyline, text

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 340, 64, 84, 22, 46  # pixels: of the chart and its margins


def band_chart(curves: Mapping[str, Sequence[float]]) -> str:
    """Of fractions, for widths of 1, 2, ... pixels."""
    widest = max(len(curve) for curve in curves.values())
    foot, side = HEIGHT - BOTTOM, WIDTH - RIGHT
    across = Axis(tuple(float(width) for width in range(0, widest + 1, 2)), LEFT, side)
    up = axis([100 * value for curve in curves.values() for value in curve], foot, TOP)
    parts = [line(across.place(tick), TOP, across.place(tick), foot) for tick in across.ticks]
    parts += [text(across.place(tick), foot + 17, f"{tick:g}", "middle") for tick in across.ticks]
    parts += [line(LEFT, up.place(tick), side, up.place(tick)) for tick in up.ticks]
    parts += [text(LEFT - 7, up.place(tick) + 4, up.told(tick), "end") for tick in up.ticks]
    for number, curve in enumerate(curves.values()):
        parts.append(polyline([(across.place(at), up.place(100 * value)) for at, value in enumerate(curve, 1)], number))
    for name, y in _apart({name: up.place(100 * curve[-1]) for name, curve in curves.items()}).items():
        parts.append(text(side + 8, y + 4, name, "start"))
    parts.append(text((LEFT + side) / 2, HEIGHT - 8, "pixels from a border, at most", "middle"))
    parts.append(text(14, (TOP + foot) / 2, "mean IoU, %", "middle", turned=True))
    return drawing(WIDTH, HEIGHT, parts)


def _apart(places: Mapping[str, float]) -> dict[str, float]:
    """Where names stand that would cover each other: each at least a line below the one above."""
    stand: dict[str, float] = {}
    lowest = float("-inf")
    for name, y in sorted(places.items(), key=lambda place: place[1]):
        lowest = max(y, lowest + FONT_PX + 1)
        stand[name] = lowest
    return stand
