"""Charts as SVG text, for pages that need nothing from outside: bars for comparing, points for a trade of two costs.

Text takes the colour of the page around it, so a chart is readable in the dark too; series have classes s0, s1, ...
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from unicodedata import east_asian_width

COLOURS = ("#3b82c4", "#d9822b", "#46a35a", "#a070cc", "#cf5555", "#8a8f98")  # of a lightness between black and white
FONT_PX = 13
LETTER_PX, CAPITAL_PX, WIDE_PX = 8.2, 10.0, 14.0  # a letter's width in the wider of the common fonts at FONT_PX
WIDTH, BAR, GAP = 720, 12, 8  # pixels: of a chart, of a bar's height, between groups of bars
LONGEST = 40  # letters of a label; the rest is cut
HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 340, 64, 46, 22, 24  # pixels: of a plot of points and its margins

Box = tuple[float, float, float, float]  # left, top, right, bottom


def bar_chart(rows: Mapping[str, Sequence[float]], series: Sequence[str], unit: str = "") -> str:
    """Horizontal bars from 0: a group for each row, in it a bar for each series; a value that is no number has none."""
    labels = max((_width(name) for name in rows), default=0) + 10
    room = WIDTH - labels - 8 * LETTER_PX - _width(unit)
    numbers = [value for values in rows.values() for value in values if math.isfinite(value)]
    largest, decimals = max(numbers, default=0.0), _decimals(numbers)
    y, parts = 0.0, []
    if len(series) > 1:
        parts.append(_legend(series))
        y = FONT_PX + 2.0 * GAP
    for name, values in rows.items():
        parts.append(_text(labels - 8, y + BAR * len(values) / 2 + 4, name, "end"))
        for number, value in enumerate(values):
            known = math.isfinite(value)
            length = room * max(0.0, value) / largest if known and largest > 0 else 0.0
            parts.append(_bar(labels, y, length, number, f"{value:.{decimals}f}{unit}" if known else "-"))
            y += BAR
        y += GAP
    return _svg(WIDTH, y, parts)


def scatter_chart(points: Sequence[tuple[str, float, float]], x: str, y: str) -> str:
    """Named points (name, x, y) joined in their order, on axes with the titles `x` and `y`; none that is no number."""
    shown = [point for point in points if math.isfinite(point[1]) and math.isfinite(point[2])]
    x_ticks, y_ticks = (_ticks([point[axis] for point in shown]) for axis in (1, 2))  # type: ignore[misc]
    places = [(name, _across(a, x_ticks), _up(b, y_ticks)) for name, a, b in shown]
    path = " ".join(f"{a:.1f},{b:.1f}" for _, a, b in places)
    dots = [f'<circle class="s0" fill="{COLOURS[0]}" cx="{a:.1f}" cy="{b:.1f}" r="4.5"/>' for _, a, b in places]
    joined = f'<polyline fill="none" stroke="{COLOURS[0]}" stroke-opacity=".5" points="{path}"/>'
    return _svg(WIDTH, HEIGHT, [*_axes(x_ticks, y_ticks, x, y), joined, *dots, *_names(places)])


def _axes(x_ticks: Sequence[float], y_ticks: Sequence[float], x: str, y: str) -> Iterator[str]:
    foot = HEIGHT - BOTTOM
    for tick in x_ticks:
        yield _line(_across(tick, x_ticks), TOP, _across(tick, x_ticks), foot)
        yield _text(_across(tick, x_ticks), foot + 17, _tick_text(tick, x_ticks), "middle")
    for tick in y_ticks:
        yield _line(LEFT, _up(tick, y_ticks), WIDTH - RIGHT, _up(tick, y_ticks))
        yield _text(LEFT - 7, _up(tick, y_ticks) + 4, _tick_text(tick, y_ticks), "end")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x, "middle")
    yield f'<g transform="rotate(-90 14 {(TOP + foot) / 2})">{_text(14, (TOP + foot) / 2, y, "middle")}</g>'


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers, evenly spaced, from at most the smallest value to at least the largest; about five."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    spread = high - low or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(spread / 4))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= spread / 4)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, max(last, first + 1) + 1)]


def _tick_text(tick: float, ticks: Sequence[float]) -> str:
    """With as many places after the point as the step has."""
    return f"{tick:.{max(0, math.ceil(-math.log10(ticks[1] - ticks[0]) - 1e-6))}f}"


def _across(value: float, ticks: Sequence[float]) -> float:
    return LEFT + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (WIDTH - RIGHT - LEFT)


def _up(value: float, ticks: Sequence[float]) -> float:
    return HEIGHT - BOTTOM - (value - ticks[0]) / (ticks[-1] - ticks[0]) * (HEIGHT - BOTTOM - TOP)


def _names(places: Sequence[tuple[str, float, float]]) -> Iterator[str]:
    """Each name beside its point, where it covers no other name and no point, if there is such a place."""
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for _, x, y in places]
    for name, x, y in places:
        boxes = _beside(x, y, _width(name))
        free = [box for box in boxes if not any(_meet(box, other) for other in taken)]
        box = (free or boxes)[0]
        taken.append(box)
        yield _text(box[0], box[3] - 3, name, "start")


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
        parts.append(_rectangle(x, 1, BAR, number) + _text(x + BAR + 6, FONT_PX - 1, name, "start"))
        x += BAR + 24 + _width(name)
    return "".join(parts)


def _bar(x: float, y: float, length: float, number: int, value: str) -> str:
    return _rectangle(x, y, length, number) + _text(x + length + 5, y + BAR - 2, value, "start", size=FONT_PX - 2)


def _rectangle(x: float, y: float, length: float, number: int) -> str:
    colour = COLOURS[number % len(COLOURS)]
    return f'<rect class="s{number}" fill="{colour}" x="{x:.1f}" y="{y:.1f}" width="{length:.1f}" height="{BAR - 1}"/>'


def _text(x: float, y: float, words: str, anchor: str, size: int = FONT_PX) -> str:
    shown = escape(_cut(words))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="currentColor">{shown}</text>'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="currentColor" stroke-opacity=".18"/>'


def _cut(words: str) -> str:
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def _width(words: str) -> float:
    """About how many pixels words take."""
    return sum(
        WIDE_PX if east_asian_width(letter) in "WF" else CAPITAL_PX if letter.isupper() else LETTER_PX
        for letter in _cut(words)
    )


def _decimals(numbers: Sequence[float]) -> int:
    """Places after the point that show three or four figures of the largest number; none for whole numbers."""
    largest = max(map(abs, numbers), default=0.0)
    if all(number == int(number) for number in numbers) or not largest:
        return 0
    magnitude = math.floor(math.log10(largest))
    return max(0, 2 - magnitude if magnitude < 1 else 3 - magnitude)


def _svg(width: float, height: float, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg {size} font-family="system-ui, sans-serif">{"".join(parts)}</svg>'
