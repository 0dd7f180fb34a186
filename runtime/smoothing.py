"""Masks that flicker less: a class that changes where the picture does not is taken for noise until it stays.

A mask at a time is all that is kept of the past; nothing here looks for motion.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MOST_GAP_S = 1.0  # masks further apart tell nothing of each other

# A pixel's picture has changed where the grey levels around it did by more than CHANGED on average: more than the noise
# of a sensor or a codec, less than what an edge that moves does. Without so wide a neighbourhood (in pixels of the
# model's size) what moves is followed in specks. Chosen by benchmarks/smoothing.py.
CHANGED = 8
AROUND = (15, 15)
DENOISED = (3, 3)  # of each picture: or a dark camera's noise, pixel by pixel, would pass for change


class Smoothing:
    """Smooths the masks of several sources, each by its own past. One thread uses it, but for `forget`."""

    def __init__(self, agreeing: int) -> None:
        """`agreeing` masks in a row must show a new class where the picture stands still; 1 changes nothing."""
        self.agreeing = agreeing
        self._pasts: dict[str, tuple[_Past, float]] = {}  # with when its last mask was seen, in seconds

    def __call__(
        self, mask: NDArray[np.uint8], frame: NDArray[np.uint8], source: str = "", at_s: float | None = None
    ) -> NDArray[np.uint8]:
        """What to show of a mask (h, w) of the frame (h, w, 3) BGR; neither is changed, and the mask is kept.

        `at_s` is when the frame was, by any clock of its source; None: right after the one before. A change of size, a
        gap and a clock that goes back begin anew.
        """
        past, last_s = self._pasts.get(source, (None, 0.0))
        at_s = last_s if at_s is None else at_s
        if past is None or past.mask.shape != mask.shape or not 0 <= at_s - last_s <= MOST_GAP_S:
            past = _Past(mask, frame)
        else:
            past.go_on(mask, frame, self.agreeing)
        self._pasts[source] = past, at_s
        return past.shown

    def forget(self, source: str) -> None:
        """Begin anew with this source's next mask: it was lost and found again. Any thread may say so."""
        self._pasts.pop(source, None)


class _Past:
    """The last mask and its picture, what is shown, and for how many masks each pixel has had its class."""

    def __init__(self, mask: NDArray[np.uint8], frame: NDArray[np.uint8]) -> None:
        self.mask = self.shown = mask
        self._grey = _denoised(frame)
        self._repeats = np.zeros(mask.shape, np.uint8)  # of a pixel's class, in a row, up to 255

    def go_on(self, mask: NDArray[np.uint8], frame: NDArray[np.uint8], agreeing: int) -> None:
        grey = _denoised(frame)
        changed = cv2.blur(cv2.absdiff(grey, self._grey), AROUND) > CHANGED
        same = cv2.compare(mask, self.mask, cv2.CMP_EQ)  # 255 or 0
        repeats = np.asarray((np.minimum(self._repeats, 254) + 1) & same, np.uint8)
        shown = self.shown.copy()  # for sinks still hold the one before
        cv2.copyTo(mask, (changed | (repeats >= agreeing - 1)).view(np.uint8), shown)
        self.mask, self.shown, self._grey, self._repeats = mask, shown, grey, repeats


def _denoised(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.blur(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), DENOISED), np.uint8)
