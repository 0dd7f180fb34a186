"""A V4L2 camera, read in a thread of its own: only the newest frame is kept, so a slow model never sees old ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import SourceError, first_line
from runtime.sources.frame import Frame
from runtime.sources.video import MAX_BAD_IN_A_ROW

SILENT_AFTER_S = 10.0  # no frame for so long: the camera is taken for lost


class CameraSource:
    """Frames of a camera such as /dev/video0 until it ends; `dropped` counts those that newer ones replaced."""

    count: int | None = None

    def __init__(self, device: str) -> None:
        self.device, self.bad, self.dropped = device, 0, 0
        self._container = _open_v4l2(device)
        self.rate: Fraction | None = self._container.streams.video[0].average_rate
        self._frames = self._container.decode(video=0)
        self._newest: tuple[NDArray[np.uint8], float] | None = None  # picture and when it came, monotonic seconds
        self._arrived = threading.Condition()
        self._closed = self._ended = False
        self._reader = threading.Thread(target=self._read, name=f"camera {device}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with suppress(av.error.FFmpegError, OSError):  # told by whoever waits for the next frame
            bad_in_a_row = 0
            while bad_in_a_row < MAX_BAD_IN_A_ROW and not self._closed:
                try:
                    self._put(next(self._frames).to_ndarray(format="bgr24"))
                    bad_in_a_row = 0
                except StopIteration:
                    break
                except av.error.InvalidDataError:
                    self.bad += 1
                    bad_in_a_row += 1
                    self._frames = self._container.decode(video=0)
        with self._arrived:
            self._ended = True
            self._arrived.notify()

    def _put(self, image: NDArray[np.uint8]) -> None:
        with self._arrived:
            self.dropped += self._newest is not None
            self._newest = image, time.monotonic()
            self._arrived.notify()

    def __iter__(self) -> Iterator[Frame]:
        index, first = 0, None
        while True:
            with self._arrived:
                arrived = self._arrived.wait_for(lambda: self._newest is not None or self._ended, SILENT_AFTER_S)
                newest, self._newest = self._newest, None
            if newest is None:
                found = "its end" if arrived else f"silence for {SILENT_AFTER_S:.0f} s"
                raise SourceError(
                    f"{self.device}: wanted the next frame, found {found}; check the cable and start again"
                )
            image, came_at = newest
            first = came_at if first is None else first
            yield Frame(image, index, self.device, Fraction(came_at - first).limit_denominator(1_000_000))
            index += 1

    def close(self) -> None:
        self._closed = True
        self._reader.join(timeout=2.0)  # a native read cannot be interrupted; the thread ends with the process
        if not self._reader.is_alive():
            self._container.close()


def _open_v4l2(device: str) -> Any:
    try:
        return av.open(device, format="v4l2", timeout=(5.0, 5.0))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise SourceError(
            f"wanted the camera {device}, found: {first_line(error)}; check that it is plugged in and not in use"
        ) from None
