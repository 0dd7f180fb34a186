"""Words over a picture: the panel of keys, and a line of news. Always whole, however small the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

FONT = cv2.FONT_HERSHEY_SIMPLEX
LINE_SHARE = 1 / 22  # of the picture's height
LEAST_LINE, MOST_LINE = 6, 36  # pixels
WHITE = (255, 255, 255)
SHADE = 0.25  # how much of the picture is seen through a panel


def add_panel(picture: NDArray[np.uint8], rows: Sequence[tuple[str, str]]) -> None:
    """Rows of two words, one column each, in the middle of a (H, W, 3) BGR picture, which is changed."""
    columns = list(zip(*rows, strict=True))
    line = _line_that_fits(
        picture, len(rows) + 1, lambda line: sum(_width(words, line) + 2 * line for words in columns)
    )
    widths = [_width(words, line) + 2 * line for words in columns]
    box = _shaded(picture, (line * (len(rows) + 1), sum(widths)), centred=True)
    for number, row in enumerate(rows):
        for word, left in zip(row, (line, line + widths[0]), strict=True):
            _write(box, word, (left, line // 2 + number * line), line)


def add_note(picture: NDArray[np.uint8], text: str) -> None:
    """One line at the lower left of a (H, W, 3) BGR picture, which is changed."""
    line = _line_that_fits(picture, 1.5, lambda line: _width((text,), line) + line)
    box = _shaded(picture, (round(1.5 * line), _width((text,), line) + line), centred=False)
    _write(box, text, (line // 2, line // 4), line)


def _line_that_fits(picture: NDArray[np.uint8], lines: float, width_of: Callable[[int], int]) -> int:
    """The height of a line, in pixels."""
    height, width = picture.shape[:2]
    line: int = min(MOST_LINE, max(LEAST_LINE, round(height * LINE_SHARE)), int(height / lines))
    while line > 1 and width_of(line) > width:
        line -= 1
    return max(1, line)


def _width(words: Sequence[str], line: int) -> int:
    return max(int(cv2.getTextSize(word, FONT, line / 34, 1)[0][0]) for word in words)


def _shaded(picture: NDArray[np.uint8], size_hw: tuple[int, int], *, centred: bool) -> NDArray[np.uint8]:
    """The part of the picture that a panel covers, darkened; at the lower left, or in the middle."""
    height, width = (min(pair) for pair in zip(size_hw, picture.shape[:2], strict=True))
    top, left = picture.shape[0] - height, picture.shape[1] - width
    top, left = (top // 2, left // 2) if centred else (top, 0)
    box = picture[top : top + height, left : left + width]
    cv2.convertScaleAbs(box, dst=box, alpha=SHADE)
    return box


def _write(box: NDArray[np.uint8], word: str, corner: tuple[int, int], line: int) -> None:
    cv2.putText(box, word, (corner[0], corner[1] + round(0.72 * line)), FONT, line / 34, WHITE, 1, cv2.LINE_AA)
