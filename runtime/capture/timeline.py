"""When each picture of a camera was, in seconds from its first: a time that goes on over lost connections and cameras
that set their clocks."""

from __future__ import annotations

import math
from fractions import Fraction

APART_S = 0.5  # a medium whose time differs so much from when its pictures come has begun anew
STEP_S = 1e-3  # between two pictures at least: time never stands still


class Timeline:
    """The medium's own time where it has one, for it is smoother than the network; else when the pictures came."""

    def __init__(self) -> None:
        self._first_ns: int | None = None
        self._offset_s: float | None = None
        self._last_s = -STEP_S

    def at(self, received_ns: int, medium_s: float | None) -> Fraction:
        """Of the next picture, in the order in which they come."""
        self._first_ns = received_ns if self._first_ns is None else self._first_ns
        arrival_s = (received_ns - self._first_ns) / 1e9
        self._last_s = max(self._own_s(medium_s, arrival_s), self._last_s + STEP_S)
        return Fraction(self._last_s).limit_denominator(1_000_000)

    def _own_s(self, medium_s: float | None, arrival_s: float) -> float:
        if medium_s is None or not math.isfinite(medium_s):
            return arrival_s
        if self._offset_s is None or abs(medium_s + self._offset_s - arrival_s) > APART_S:
            self._offset_s = arrival_s - medium_s
        return medium_s + self._offset_s
