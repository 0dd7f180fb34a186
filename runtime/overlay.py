"""What people see of a mask: blended over the frame, beside it, or alone, always with a legend."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.images import colourise
from fcn_edge.labels import LabelSet

VIEWS = ("overlay", "mask", "split")
FONT = cv2.FONT_HERSHEY_SIMPLEX
LEGEND_SHARE = 1 / 36  # of the frame's height, per line
MIN_LEGEND_HEIGHT = 120  # pixels of frame below which words cannot be read,
MIN_LINE = 4  # and of a line


class Overlay:
    """Draws masks in their palette; `alpha` is the mask's share of the blend."""

    def __init__(self, labels: LabelSet, alpha: float = 0.5) -> None:
        self.labels, self.alpha = labels, alpha
        self._legend: NDArray[np.uint8] | None = None
        self._legend_for: tuple[int, ...] = ()

    def draw(self, frame: NDArray[np.uint8], mask: NDArray[np.uint8], view: str) -> NDArray[np.uint8]:
        """A (H, W, 3) BGR picture of the frame's size.

        `split` shows the frame left of the middle, the overlay right.
        """
        colours = colourise(mask, self.labels)
        if view == "mask":
            picture = colours
        else:
            picture = np.asarray(cv2.addWeighted(frame, 1 - self.alpha, colours, self.alpha, 0), np.uint8)
        if view == "split":
            middle = frame.shape[1] // 2
            picture[:, :middle] = frame[:, :middle]
            picture[:, max(0, middle - 1) : middle + 1] = 255
        self._add_legend(picture)
        return picture

    def _add_legend(self, picture: NDArray[np.uint8]) -> None:
        if self._legend_for != picture.shape:
            self._legend_for = picture.shape
            fits = picture.shape[0] >= max(MIN_LEGEND_HEIGHT, MIN_LINE * len(self.labels))
            self._legend = legend(self.labels, picture.shape[0]) if fits else None
        if self._legend is None:
            return
        height, width = (min(sides) for sides in zip(self._legend.shape[:2], picture.shape[:2], strict=True))
        corner = picture[:height, -width:]
        corner[:] = cv2.addWeighted(corner, 0.35, self._legend[:height, :width], 0.65, 0)


def legend(labels: LabelSet, frame_height: int) -> NDArray[np.uint8]:
    """A (h, w, 3) BGR panel with a swatch and a name per class, sized for frames of `frame_height` pixels."""
    line = max(11, round(frame_height * LEGEND_SHARE))
    line = min(line, frame_height // len(labels))
    scale = line / 34
    width = max(cv2.getTextSize(name, FONT, scale, 1)[0][0] for name in labels.names) + 2 * line
    panel = np.full((line * len(labels), width, 3), 24, np.uint8)
    for row, (name, rgb) in enumerate(zip(labels.names, labels.palette, strict=True)):
        top, inset = row * line, max(1, line // 6)
        cv2.rectangle(panel, (inset, top + inset), (line - inset, top + line - inset), rgb[::-1], cv2.FILLED)
        cv2.putText(panel, name, (line + inset, top + round(0.72 * line)), FONT, scale, (255, 255, 255), 1, cv2.LINE_AA)
    return panel
