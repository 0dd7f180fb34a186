"""Cameras on a Jetson's ribbon cable, read by a `gst-launch-1.0` of our own: no Python binding, and it can be killed.

It writes pictures of a known size into a pipe, one after the other.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial

import numpy as np

from runtime.capture.failure import CaptureFailure, failure
from runtime.capture.lifeline import die_with
from runtime.capture.limits import Limits
from runtime.capture.reader import Picture, Spoiled
from runtime.sources.address import Address

SIZE_HW, RATE = (720, 1280), 30.0  # where the address names none
END_S = 1.0  # for GStreamer to give the sensor back, before it is killed
SAID_LINES, LINE_BYTES = 50, 4096  # of what it printed last


def open_csi(address: Address, limits: Limits) -> GStreamerReader:
    """A sensor, started; that it gives nothing is told by the first read."""
    return GStreamerReader(address, *argus_elements(address))


def argus_elements(address: Address) -> tuple[list[str], tuple[int, int]]:
    """The sensor by NVIDIA's Argus, its pictures scaled and turned into BGRx by the Jetson's own hardware, and their
    height and width."""
    (height, width), rate = address.wishes.size_hw or SIZE_HW, _fraction(address.wishes.rate or RATE)
    elements = (
        f"nvarguscamerasrc sensor-id={int(address.target)} ! video/x-raw(memory:NVMM),framerate={rate} ! nvvidconv ! "
        f"video/x-raw,format=BGRx,width={width},height={height}"
    )
    return elements.split(), (height, width)


class GStreamerReader:
    """Pictures of elements that end in BGRx of `size_hw`. Raises CaptureFailure."""

    finite = False

    def __init__(self, address: Address, elements: Sequence[str], size_hw: tuple[int, int]) -> None:
        self._address, self._size_hw = address, size_hw
        self.rate: float | None = address.wishes.rate or RATE
        program = shutil.which("gst-launch-1.0")
        if not program:
            raise failure("PROGRAM_MISSING", address)
        reading, writing = os.pipe()
        # What comes faster than it is read is dropped here, the oldest first, so that nothing read is old.
        end = f"! queue leaky=downstream max-size-buffers=1 ! fdsink fd={writing} sync=false".split()
        self._process = subprocess.Popen(
            [program, "-q", *elements, *end],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(writing,),
            preexec_fn=partial(die_with, os.getpid()),  # the capture child has no threads
        )
        os.close(writing)
        self._pipe = open(reading, "rb", buffering=0)
        self._said: deque[bytes] = deque(maxlen=SAID_LINES)
        self._listener = threading.Thread(target=self._listen, name="gst-launch output", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout
        with self._process.stdout as printed:
            self._said.extend(iter(partial(printed.readline, LINE_BYTES), b""))

    def __iter__(self) -> Iterator[Picture | Spoiled]:
        height, width = self._size_hw
        buffer = bytearray(height * width * 4)
        image = np.frombuffer(buffer, np.uint8).reshape(height, width, 4)[..., :3]  # used anew for every picture
        while self._fill(memoryview(buffer)):
            received_ns = time.monotonic_ns()
            yield Picture(image, received_ns, received_ns)
        raise self._failure()

    def _fill(self, rest: memoryview) -> bool:
        """Read a whole picture; False where the pipe ends."""
        while rest:
            count = self._pipe.readinto(rest)
            if not count:
                return False
            rest = rest[count:]
        return True

    def _failure(self) -> CaptureFailure:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        self._listener.join(END_S)
        if self._process.returncode == 0:
            return failure("CLOSED", self._address)
        return gstreamer_failure(b"".join(tuple(self._said)).decode(errors="replace"), self._address)

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:  # a wedged Argus
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        self._pipe.close()
        self._listener.join(END_S)


# What GStreamer and Argus print: code, and what is better said than by the code alone.
_SAYINGS: tuple[tuple[str, str, str | None, str | None], ...] = (
    (
        'no element "nvarguscamerasrc"',
        "NO_DEVICE",
        "GStreamer has no nvarguscamerasrc here; only a Jetson has it",
        "on a Jetson: sudo apt-get install nvidia-l4t-gstreamer; elsewhere name another source",
    ),
    ("no element", "PROGRAM_MISSING", "GStreamer lacks an element", "sudo apt-get install gstreamer1.0-plugins-good"),
    (
        "No cameras available",
        "NO_DEVICE",
        None,
        "check the ribbon cable and the device tree: sudo /opt/nvidia/jetson-io",
    ),
    ("Invalid camera device", "NO_DEVICE", None, "fcn-edge sources lists the sensors that are here"),
    ("Failed to create CaptureSession", "BUSY", None, "end that program, or: sudo systemctl restart nvargus-daemon"),
    ("not-negotiated", "MODE_UNSUPPORTED", None, None),
    ("could not link", "MODE_UNSUPPORTED", None, None),
    ("TIMEOUT", "TIMEOUT", "the sensor gives no pictures", "sudo systemctl restart nvargus-daemon; check the cable"),
    ("Permission denied", "NO_PERMISSION", None, None),
)


def gstreamer_failure(said: str, address: Address) -> CaptureFailure:
    """What the words of a `gst-launch-1.0` that ended mean."""
    for words, code, found, cure in _SAYINGS:
        if words in said:
            return failure(code, address, found, cure)
    return failure("READ_FAILED", address, "GStreamer gave up")


def _fraction(rate: float) -> str:
    """As caps have it: 30/1, 30000/1001."""
    return f"{round(rate)}/1" if rate == round(rate) else f"{round(rate * 1001)}/1001"
