"""Cameras of this machine (USB webcams, capture cards), read by FFmpeg's v4l2 device through PyAV."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import av

from runtime.capture.failure import CaptureFailure, failure, failure_of
from runtime.capture.limits import Limits
from runtime.capture.network_reader import FFmpegReader
from runtime.capture.reader import Picture, Spoiled
from runtime.sources.address import Address
from runtime.sources.wishes import Wishes

OLDEST_S = 10.0  # a time stamp of the driver that is older is of another clock


def open_v4l2(address: Address, limits: Limits) -> V4l2Reader:
    """Opened in the wished mode, or the driver's nearest; raises CaptureFailure."""
    try:
        container = av.open(address.target, format="v4l2", options=v4l2_options(address.wishes))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise failure_of(error, address, opening=True) from None
    return V4l2Reader(address, container)


def v4l2_options(wishes: Wishes) -> dict[str, str]:
    """As FFmpeg's v4l2 device names them; its sizes are width first."""
    options = {}
    if wishes.size_hw:
        options["video_size"] = f"{wishes.size_hw[1]}x{wishes.size_hw[0]}"
    if wishes.rate:
        options["framerate"] = f"{wishes.rate:g}"
    if wishes.format:
        options["input_format"] = wishes.format
    return options


class V4l2Reader(FFmpegReader):
    """A picture's age counts from when the driver had it, where it tells so by our clock: it may have queued since."""

    def __iter__(self) -> Iterator[Picture | Spoiled]:
        for came in super().__iter__():
            yield _from_driver(came) if isinstance(came, Picture) else came

    def _end(self) -> CaptureFailure:
        return failure("NO_DEVICE", self._address, "it is gone")


def _from_driver(picture: Picture) -> Picture:
    now = time.monotonic()
    if picture.time is None or not now - OLDEST_S < picture.time < now:
        return picture
    received_ns = min(picture.received_ns, int(picture.time * 1e9))
    return replace(picture, received_ns=received_ns)
