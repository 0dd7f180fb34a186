"""A confusion matrix as SVG text: what the pixels of each true class (a row) were taken for (the columns)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from fcn_edge.svg import FONT_PX, WIDTH, cell, cut, drawing, line, text, width_of

LARGEST, SMALLEST = 46.0, 13.0  # pixels: of a cell; many classes make the chart wider than a page, which shrinks it
ROOM_FOR_NUMBERS = 26.0  # pixels that two figures need
LONGEST = 24  # letters of a class's name
SHOWN = 0.005  # of a row; less leaves its cell empty
TITLE = 22  # pixels


def confusion_chart(counts: NDArray[np.int64], names: Sequence[str]) -> str:
    """Of (n, n) counts, true class first: percents of each row. A class without pixels has an empty row."""
    short = [cut(name, LONGEST) for name in names]
    margin = max(map(width_of, short)) + 14  # of the names, on the left and above
    side = min(LARGEST, max(SMALLEST, (WIDTH - margin - TITLE) / len(names)))
    left, top = margin + TITLE, margin + TITLE
    end = side * len(names)
    titles = [text(left, 14, "taken for", "start"), text(14, top + end, "true class", "start", turned=True)]
    cells = _cells(counts, names, left, top, side)
    parts = [*titles, *_labels(short, left, top, side), *cells, *_grid(len(names), left, top, side)]
    return drawing(max(WIDTH, left + end + 2), top + end + 2, parts)


def _labels(names: Sequence[str], left: float, top: float, side: float) -> Iterator[str]:
    size = min(FONT_PX, side - 1)
    for number, name in enumerate(names):
        middle = (number + 0.5) * side + size / 3
        yield text(left - 7, top + middle, name, "end", size)
        yield text(left + middle, top - 7, name, "start", size, turned=True)


def _grid(count: int, left: float, top: float, side: float) -> Iterator[str]:
    end = count * side
    for number in range(count + 1):
        yield line(left, top + number * side, left + end, top + number * side)
        yield line(left + number * side, top, left + number * side, top + end)


def _cells(counts: NDArray[np.int64], names: Sequence[str], left: float, top: float, side: float) -> Iterator[str]:
    """The stronger the colour, the larger the share."""
    shares = counts / np.maximum(1, counts.sum(1, keepdims=True))
    for row, column in np.argwhere(shares >= SHOWN):
        share = float(shares[row, column])
        x, y = left + column * side, top + row * side
        yield cell(x, y, side, share, f"{names[row]} taken for {names[column]}: {100 * share:.1f} %")
        if side >= ROOM_FOR_NUMBERS:
            yield text(x + side / 2, y + side / 2 + 4, f"{100 * share:.0f}", "middle", FONT_PX - 1)
