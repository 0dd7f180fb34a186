"""Charts as SVG text, for pages that need nothing from outside: bars for comparing, points for a trade of two costs.

Series have classes s0, s1, ...
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType

from fcn_edge.axis import Axis, axis
from fcn_edge.labels import LabelSet
from fcn_edge.svg import FONT_PX, LETTER_PX, WIDTH, dot, drawing, line, polyline, rectangle, swatch, text, width_of

BAR, GAP = 12, 8  # pixels: of a bar's height, between groups of bars
HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 340, 64, 46, 22, 24  # pixels: of a plot of points and its margins

GREY = 5  # the series whose colour is grey

Box = tuple[float, float, float, float]  # left, top, right, bottom


def bar_chart(
    rows: Mapping[str, Sequence[float]], series: Sequence[str], unit: str = "", *, full: float | None = None
) -> str:
    """Horizontal bars from 0: a group for each row, in it a bar for each series; a value that is no number has none.

    A bar of full length is `full`, or the largest value.
    """
    labels = max((width_of(name) for name in rows), default=0) + 10
    room = WIDTH - labels - 8 * LETTER_PX - width_of(unit)
    numbers = [value for values in rows.values() for value in values if math.isfinite(value)]
    largest, decimals = full or max(numbers, default=0.0), _decimals(numbers)
    y, parts = 0.0, []
    if len(series) > 1:
        parts.append(_legend(series))
        y = FONT_PX + 2.0 * GAP
    for name, values in rows.items():
        parts.append(text(labels - 8, y + BAR * len(values) / 2 + 4, name, "end"))
        for number, value in enumerate(values):
            known = math.isfinite(value)
            length = room * max(0.0, value) / largest if known and largest > 0 else 0.0
            parts.append(_bar(labels, y, length, number, f"{value:.{decimals}f}{unit}" if known else "-"))
            y += BAR
        y += GAP
    return drawing(WIDTH, y, parts)


def scatter_chart(
    points: Sequence[tuple[str, float, float]],
    x: str,
    y: str,
    *,
    front: Collection[str] | None = None,
    spans: Mapping[str, tuple[float, float]] = MappingProxyType({}),
) -> str:
    """Named points (name, x, y) joined in their order, on axes with the titles `x` and `y`; none that is no number.

    With a `front`, those alone are joined that it names, by their x, and the others are grey. A span, by its point's
    name, is drawn from one x to another.
    """
    shown = [point for point in points if math.isfinite(point[1]) and math.isfinite(point[2])]
    ends = [end for name, *_ in shown for end in spans.get(name, ())]
    across = axis([*(point[1] for point in shown), *ends], LEFT, WIDTH - RIGHT)
    up = axis([point[2] for point in shown], HEIGHT - BOTTOM, TOP)
    places = [(name, across.place(a), up.place(b)) for name, a, b in shown]
    series = {name: 0 if front is None or name in front else GREY for name, *_ in shown}
    parts = [*_grid(across, up, x, y), _joined(places, front)]
    taken: list[Box] = []
    for name, left, top in places:
        span = [(across.place(end), top) for end in spans.get(name, ())]
        parts += [polyline(span, series[name])] if span else []
        parts.append(dot(left, top, series[name]))
        taken += [(span[0][0], top - 2, span[-1][0], top + 2)] if span else []
    return drawing(WIDTH, HEIGHT, [*parts, *_names(places, taken)])


def _joined(places: Sequence[tuple[str, float, float]], front: Collection[str] | None) -> str:
    line = places if front is None else sorted((place for place in places if place[0] in front), key=lambda one: one[1])
    return polyline([place[1:] for place in line], opacity=0.5)


def colour_key(labels: LabelSet) -> str:
    """Which colour of a mask is which class, in lines as wide as a chart."""
    x, y, parts = 1.0, 1.0, []
    for name, (red, green, blue) in zip(labels.names, labels.palette, strict=True):
        wide = BAR + 24 + width_of(name)
        if x + wide > WIDTH and x > 1:
            x, y = 1.0, y + BAR + GAP
        parts.append(
            swatch(x, y, BAR, f"#{red:02x}{green:02x}{blue:02x}") + text(x + BAR + 6, y + BAR - 1, name, "start")
        )
        x += wide
    return drawing(WIDTH, y + BAR + 4, parts)


def _grid(across: Axis, up: Axis, x: str, y: str) -> Iterator[str]:
    foot = HEIGHT - BOTTOM
    for tick in across.ticks:
        yield line(across.place(tick), TOP, across.place(tick), foot)
        yield text(across.place(tick), foot + 17, across.told(tick), "middle")
    for tick in up.ticks:
        yield line(LEFT, up.place(tick), WIDTH - RIGHT, up.place(tick))
        yield text(LEFT - 7, up.place(tick) + 4, up.told(tick), "end")
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x, "middle")
    yield text(14, (TOP + foot) / 2, y, "middle", turned=True)


def _names(places: Sequence[tuple[str, float, float]], strokes: Sequence[Box]) -> Iterator[str]:
    """Each name beside its point, where it covers no other name, no point and no stroke, if there is such a place."""
    foot: Box = (0, HEIGHT - BOTTOM + 4, WIDTH, HEIGHT)  # the numbers of the axis
    taken: list[Box] = [foot, *strokes, *((x - 5, y - 5, x + 5, y + 5) for _, x, y in places)]
    for name, x, y in places:
        boxes = _beside(x, y, width_of(name))
        free = [box for box in boxes if not any(_meet(box, other) for other in taken)]
        box = (free or boxes)[0]
        taken.append(box)
        yield text(box[0], box[3] - 3, name, "start")


def _beside(x: float, y: float, wide: float) -> list[Box]:
    """Where a name `wide` pixels long may stand, the best first: above its point, right, below, left, farther off."""
    middle = min(max(x - wide / 2, LEFT), WIDTH - wide)
    corners = [(middle, y - 9), (x + 8, y + 4), (middle, y + 18), (x - 8 - wide, y + 4)]
    corners += [(x + 8, y + 4 + lines * (FONT_PX + 1)) for lines in (-1, 1, -2, 2, -3, 3)]  # for a crowd
    inside = [(left, base) for left, base in corners if LEFT <= left <= WIDTH - wide]
    return [(left, base - FONT_PX + 3, left + wide, base + 3) for left, base in inside]


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _legend(series: Sequence[str]) -> str:
    x, parts = 0.0, []
    for number, name in enumerate(series):
        parts.append(rectangle(x, 1, BAR, BAR - 1, number) + text(x + BAR + 6, FONT_PX - 1, name, "start"))
        x += BAR + 24 + width_of(name)
    return "".join(parts)


def _bar(x: float, y: float, length: float, number: int, value: str) -> str:
    told = text(x + length + 5, y + BAR - 2, value, "start", size=FONT_PX - 2)
    return rectangle(x, y, length, BAR - 1, number) + told


def _decimals(numbers: Sequence[float]) -> int:
    """Places after the point that show three or four figures of the largest number; none for whole numbers."""
    largest = max(map(abs, numbers), default=0.0)
    if all(number == int(number) for number in numbers) or not largest:
        return 0
    magnitude = math.floor(math.log10(largest))
    return max(0, 2 - magnitude if magnitude < 1 else 3 - magnitude)
