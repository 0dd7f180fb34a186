"""The strokes that every chart is made of, as SVG text: words, lines, rectangles. What they mean is the charts' affair.

Words take the colour of the page around them, so a chart is readable in the dark too. `chart_png.py` draws exactly
what stands here, once more, as pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from unicodedata import east_asian_width

COLOURS = ("#3b82c4", "#d9822b", "#46a35a", "#a070cc", "#cf5555", "#8a8f98")  # of a lightness between black and white
FONT_PX = 13
LETTER_PX, CAPITAL_PX, WIDE_PX = 8.2, 10.0, 14.0  # a letter's width in the wider of the common fonts at FONT_PX
WIDTH = 720  # pixels, of a chart
LONGEST = 40  # letters of a label; the rest is cut


def drawing(width: float, height: float, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return f'<svg {size} font-family="system-ui, sans-serif">{"".join(parts)}</svg>'


def text(x: float, y: float, words: str, anchor: str, size: float = FONT_PX, *, turned: bool = False) -> str:
    """Words from, around or up to (x, y) by their `anchor` start, middle or end; turned ones run upwards."""
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size:g}"{turn}'
    return f'<text {place} fill="currentColor">{escape(cut(words))}</text>'


def swatch(x: float, y: float, side: float, fill: str) -> str:
    """A square of any colour, framed, for it may be the page's own."""
    frame = 'stroke="currentColor" stroke-opacity=".4"'
    return f'<rect class="swatch" fill="{fill}" {frame} x="{x:.1f}" y="{y:.1f}" width="{side:g}" height="{side:g}"/>'


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    """A faint one, for grids."""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="currentColor" stroke-opacity=".18"/>'


def polyline(points: Sequence[tuple[float, float]], number: int = 0, opacity: float = 1.0) -> str:
    """In the colour of series `number`."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline fill="none" stroke="{colour(number)}" stroke-opacity="{opacity:g}" points="{path}"/>'


def dot(x: float, y: float, number: int = 0, radius: float = 4.5) -> str:
    return f'<circle class="s{number}" fill="{colour(number)}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'


def rectangle(x: float, y: float, width: float, height: float, number: int = 0) -> str:
    """In the colour of series `number`."""
    size = f'width="{width:.1f}" height="{height:g}"'
    return f'<rect class="s{number}" fill="{colour(number)}" x="{x:.1f}" y="{y:.1f}" {size}/>'


def cell(x: float, y: float, side: float, opacity: float, told: str) -> str:
    """A square of a map of shares, with words for who points at it."""
    size = f'width="{side:.1f}" height="{side:.1f}"'
    fill = f'fill="{COLOURS[0]}" fill-opacity="{opacity:.3f}"'
    return f'<rect class="cell" {fill} x="{x:.1f}" y="{y:.1f}" {size}><title>{escape(told)}</title></rect>'


def colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def cut(words: str, longest: int = LONGEST) -> str:
    return words if len(words) <= longest else words[: longest - 1] + "…"


def width_of(words: str) -> float:
    """About how many pixels words take at FONT_PX."""
    return sum(
        WIDE_PX if east_asian_width(letter) in "WF" else CAPITAL_PX if letter.isupper() else LETTER_PX
        for letter in cut(words)
    )
