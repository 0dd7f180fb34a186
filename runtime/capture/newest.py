"""The newest picture of a camera, waiting for whoever takes it: a newer one replaces it, so nobody ever sees an old
one."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from runtime.capture.messages import Filled
from runtime.capture.process import CaptureProcess
from runtime.sources.frame import Frame
from runtime.stream.counts import FrameCounts


@dataclass(frozen=True)
class Waiting:
    """A filled slot, which is given back to its child once, by whoever takes or replaces it."""

    filled: Filled
    time: Fraction
    child: CaptureProcess


class Newest:
    """A place for one picture. It may outlive its child: the memory is there as long as it is waited for."""

    def __init__(self, name: str, counts: FrameCounts) -> None:
        self._name, self._counts, self._lock = name, counts, threading.Lock()
        self._waiting: Waiting | None = None
        self._delivered = 0

    def put(self, newer: Waiting) -> None:
        """Raises ValueError where the slot cannot be."""
        newer.child.ring.picture(newer.filled.slot, newer.filled.size_hw)
        with self._lock:
            self._drop("overwritten")
            self._waiting = newer

    def take(self) -> Frame | None:
        """The picture as a frame of its own, copied out; None where no new one is here."""
        with self._lock:
            if not (waiting := self._waiting):
                return None
            self._waiting = None
            frame = self._copied(waiting)
            self._delivered += 1
        waiting.child.free(waiting.filled.slot)
        return frame

    def _copied(self, waiting: Waiting) -> Frame:
        filled = waiting.filled
        image = np.array(waiting.child.ring.picture(filled.slot, filled.size_hw))
        moments = filled.received_ns, filled.decoded_ns
        return Frame(image, self._delivered, self._name, waiting.time, self._name, *moments)

    def discard(self, cause: str) -> None:
        """Nobody wants it any more."""
        with self._lock:
            self._drop(cause)

    def _drop(self, cause: str) -> None:
        if self._waiting:
            self._counts.drop(cause)
            self._waiting.child.free(self._waiting.filled.slot)
            self._waiting = None

    @property
    def is_empty(self) -> bool:
        return self._waiting is None
