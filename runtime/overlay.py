"""What people see of a mask: blended over the frame, beside it, or alone, with a legend."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.images import colourise
from fcn_edge.labels import LabelSet

VIEWS = ("overlay", "mask", "split")
FONT = cv2.FONT_HERSHEY_SIMPLEX
LEGEND_SHARE = 1 / 36  # of the frame's height, per line
LEGEND_ALPHA = 0.65
MIN_LEGEND_HEIGHT = 120  # pixels of frame below which words cannot be read,
MIN_LINE = 4  # and of a line


class Overlay:
    """Draws masks in their palette. One thread uses it; it may change `alpha`, the mask's share, and `has_legend`."""

    def __init__(self, labels: LabelSet, alpha: float = 0.5, *, has_legend: bool = True) -> None:
        self.labels, self.alpha, self.has_legend = labels, alpha, has_legend
        self._legend: NDArray[np.uint8] | None = None
        self._legend_for: tuple[int, int] = (0, 0)

    def draw(self, frame: NDArray[np.uint8], mask: NDArray[np.uint8], view: str) -> NDArray[np.uint8]:
        """A new (H, W, 3) BGR picture of the frame's size, the caller's own; frame and mask are left as they are.

        `split` shows the frame left of the middle, the overlay right.
        """
        if view == "mask":
            picture = colourise(mask, self.labels)
        elif view == "split":
            picture = self._split(frame, mask)
        else:
            picture = self._blended(frame, mask)
        if self.has_legend:
            self._add_legend(picture)
        return picture

    def _blended(self, frame: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        colours = colourise(mask, self.labels)
        # Into the colours themselves: fresh memory of this size costs more than the blend (benchmarks/overlay.py).
        return np.asarray(cv2.addWeighted(frame, 1 - self.alpha, colours, self.alpha, 0, dst=colours), np.uint8)

    def _split(self, frame: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
        middle = frame.shape[1] // 2
        picture = frame.copy()
        picture[:, middle:] = self._blended(frame[:, middle:], mask[:, middle:])
        picture[:, max(0, middle - 1) : middle + 1] = 255
        return picture

    def _add_legend(self, picture: NDArray[np.uint8]) -> None:
        size_hw = picture.shape[0], picture.shape[1]
        if self._legend_for != size_hw:
            self._legend_for, self._legend = size_hw, legend(self.labels, size_hw)
        if self._legend is None:
            return
        height, width = self._legend.shape[:2]
        corner = picture[:height, -width:]
        cv2.addWeighted(corner, 1 - LEGEND_ALPHA, self._legend, LEGEND_ALPHA, 0, dst=corner)


def legend(labels: LabelSet, size_hw: tuple[int, int]) -> NDArray[np.uint8] | None:
    """A (h, w, 3) BGR panel with a swatch and a name per class that fits into a frame of this size, whole.

    None where words in it could not be read.
    """
    height, width = size_hw
    line = min(max(11, round(height * LEGEND_SHARE)), height // len(labels))
    while line >= MIN_LINE and _panel_width(labels, line) > width:
        line -= 1
    if height < MIN_LEGEND_HEIGHT or line < MIN_LINE:
        return None
    panel = np.full((line * len(labels), _panel_width(labels, line), 3), 24, np.uint8)
    for row, (name, rgb) in enumerate(zip(labels.names, labels.palette, strict=True)):
        top, inset = row * line, max(1, line // 6)
        cv2.rectangle(panel, (inset, top + inset), (line - inset, top + line - inset), rgb[::-1], cv2.FILLED)
        place = (line + inset, top + round(0.72 * line))
        cv2.putText(panel, name, place, FONT, line / 34, (255, 255, 255), 1, cv2.LINE_AA)
    return panel


def _panel_width(labels: LabelSet, line: int) -> int:
    return max(int(cv2.getTextSize(name, FONT, line / 34, 1)[0][0]) for name in labels.names) + 2 * line
