"""A video file of H.264, written whole or not at all.

(OpenCV's writer drops frames of a wrong size and hides full disks.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import OutputError, first_line
from fcn_edge.files import part_of, writing

FORMATS = {".mkv": "matroska", ".mp4": "mp4"}
CODEC = "libx264"
QUALITY = {"preset": "veryfast", "crf": "20"}  # thin coloured things stay readable; about 1 Mbit/s at 360x480
TIME_BASE = Fraction(1, 90_000)  # of MPEG: every usual frame rate is a whole number of ticks
DEFAULT_RATE = Fraction(25)


class Recorder:
    """Frames in, a file out. The first frame fixes the size; others are fitted into it with a black border."""

    def __init__(self, path: Path, rate: Fraction | None) -> None:
        self.path, self.rate = path, rate or DEFAULT_RATE
        self._part = part_of(path)
        self._last_tick = -1
        self._container: Any = None
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("w+b")  # Python's own file: unlike libavformat's it raises on a full disk

    def write(self, picture: NDArray[np.uint8], time: Fraction | None, index: int) -> None:
        """One (H, W, 3) BGR picture, shown from `time` seconds on, or at the rate's beat when there is no time."""
        with writing(self.path), _encoding(self.path):
            if self._container is None:
                self._start(picture.shape[0], picture.shape[1])
            frame = av.VideoFrame.from_ndarray(
                _fitted(picture, (self._stream.height, self._stream.width)), format="bgr24"
            )
            frame.pts, frame.time_base = self._tick(time if time is not None else index / self.rate), TIME_BASE
            self._container.mux(self._stream.encode(frame))

    def _start(self, height: int, width: int) -> None:
        self._container = av.open(_Output(self._file), mode="w", format=FORMATS[self.path.suffix.lower()])
        stream = self._container.add_stream(CODEC, rate=self.rate, options=QUALITY)
        stream.width, stream.height = width, height
        # 4:2:0 halves the colour planes, which odd sizes do not allow.
        stream.pix_fmt = "yuv444p" if width % 2 or height % 2 else "yuv420p"
        stream.time_base = stream.codec_context.time_base = TIME_BASE
        self._stream = stream

    def _tick(self, time: Fraction) -> int:
        """Time stamps must grow; a source that repeats one is moved on by the least step."""
        self._last_tick = max(self._last_tick + 1, round(time / TIME_BASE))
        return self._last_tick

    def finish(self) -> None:
        """Write what the encoder still holds and give the file its name; a recording without frames leaves no file."""
        if self._container is None:
            return
        with writing(self.path), _encoding(self.path):
            self._container.mux(self._stream.encode())
            self._container.close()
            self._file.close()
            os.replace(self._part, self.path)

    def close(self) -> None:
        """Give everything back; what was not finished is removed."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._part.unlink()


class _Output:
    """The file as FFmpeg sees it; only the first failure is raised, for FFmpeg goes on and PyAV prints the rest."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._failed = file, False
        self.tell = file.tell

    def write(self, content: bytes) -> int:
        return self._once(lambda: self._file.write(content), len(content))

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._once(lambda: self._file.seek(offset, whence), 0)  # it may write what is buffered

    def _once(self, call: Callable[[], int], pretended: int) -> int:
        if self._failed:
            return pretended
        try:
            return call()
        except OSError:
            self._failed = True
            raise


@contextmanager
def _encoding(path: Path) -> Iterator[None]:
    """FFmpeg's own errors as one line."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise OutputError(
            f"{path}: wanted to encode the video, found: {first_line(error)}; choose another output"
        ) from error


def _fitted(picture: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """The picture itself, or scaled into `size_hw` with its shape kept."""
    if picture.shape[:2] == size_hw:
        return picture
    scale = min(size_hw[0] / picture.shape[0], size_hw[1] / picture.shape[1])
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    canvas = np.zeros((*size_hw, 3), np.uint8)
    top, left = (size_hw[0] - height) // 2, (size_hw[1] - width) // 2
    canvas[top : top + height, left : left + width] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return canvas
