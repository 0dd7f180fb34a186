"""A camera for tests and first trials: a drawn street that moves, with a readable clock, and faults on demand."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.street import draw_street
from runtime.capture.failure import failure
from runtime.capture.reader import Picture, Spoiled
from runtime.sources.address import Address
from runtime.sources.clock_code import draw_clock
from runtime.sources.wishes import FaultKind

SIZE_HW, RATE = (360, 480), 30.0  # where the address names none
SWEEP_S = 4.0  # the camera pans from side to side and back in this time
CORRUPT_S = 1.0  # how long pictures come spoiled


class PatternReader:
    """Frame k comes k / rate seconds after the start, however long the ones before took: a camera waits for nobody."""

    def __init__(self, address: Address) -> None:
        self._address, wishes = address, address.wishes
        self.rate: float | None = wishes.rate or RATE
        self.finite = wishes.frames is not None
        self._frames = wishes.frames
        self._faults = {fault.kind: fault.at_s for fault in wishes.faults}
        height, width = wishes.size_hw or SIZE_HW
        self._size_hw = height, width
        self._street, _ = draw_street(wishes.seed, 0.0, (height, width + width // 4 + 1))  # drawn once, wider than seen

    def __iter__(self) -> Iterator[Picture | Spoiled]:
        start, frozen, index = time.monotonic(), None, 0
        while self._frames is None or index < self._frames:
            at_s = index / (self.rate or RATE)
            time.sleep(max(0.0, start + at_s - time.monotonic()))
            if self._has("stall", at_s):
                while True:  # until the parent has enough of it and kills us
                    time.sleep(60)
            if self._has("close", at_s):
                raise failure("CLOSED", self._address)
            if self._has("corrupt", at_s) and not self._has("corrupt", at_s - CORRUPT_S):
                yield Spoiled("undecodable")
            else:
                received_ns = time.monotonic_ns()
                image = self._drawn(at_s, received_ns) if frozen is None else frozen
                frozen = image if self._has("freeze", at_s) else None
                yield Picture(image, received_ns, time.monotonic_ns(), at_s)
            index += 1

    def _has(self, kind: FaultKind, at_s: float) -> bool:
        return at_s >= self._faults.get(kind, float("inf"))

    def _drawn(self, at_s: float, moment_ns: int) -> NDArray[np.uint8]:
        """(H, W, 3) of the street, as far to the side as the camera has panned."""
        width = self._size_hw[1]
        swing = abs(2.0 * (at_s / SWEEP_S % 1.0) - 1.0)
        left = round(swing * (self._street.shape[1] - width))
        image = self._street[:, left : left + width].copy()
        if self._has("resize", at_s):
            image = np.asarray(cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        draw_clock(image, moment_ns)
        return image

    def close(self) -> None:
        """Nothing is open."""
