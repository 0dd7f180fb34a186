"""A video file of H.264. Of a file, it is written whole or not at all; of a camera, what is written stays readable.

(OpenCV's writer drops frames of a wrong size and hides full disks.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import OutputError, first_line
from fcn_edge.files import part_of, writing
from runtime.sinks.series import begin_file, keep_as, lock
from runtime.sinks.torn_file import is_readable

FORMATS = {".mkv": "matroska", ".mp4": "mp4"}
CODEC = "libx264"
TIME_BASE = Fraction(1, 90_000)  # of MPEG: every usual frame rate is a whole number of ticks
DEFAULT_RATE = Fraction(25)


@dataclass(frozen=True)
class Way:
    """How frames become a file."""

    codec: Mapping[str, str]  # options of libx264
    container: Mapping[str, Mapping[str, str]]  # options of the muxer, by the name's ending
    key_every_s: Fraction | None = None  # by time, for a camera's rate varies
    is_live: bool = False


# Thin coloured things stay readable; about 0.6 Mbit/s at 360x480.
WHOLE = Way({"preset": "veryfast", "crf": "20"}, {suffix: {} for suffix in FORMATS})
# The encoder holds nothing back. It cannot look ahead then and spends more on what soon changes: 22 looks as 20 there.
# Each frame is on the disk when the next one comes (Matroska), or half a second later (a fragment of MP4 costs more).
LIVE = Way(
    {"preset": "veryfast", "crf": "22", "tune": "zerolatency", "forced-idr": "1"},
    {
        ".mkv": {"cluster_time_limit": "0", "flush_packets": "1"},
        ".mp4": {"movflags": "empty_moov+default_base_moof", "frag_duration": "500000", "flush_packets": "1"},
    },
    key_every_s=Fraction(1),
    is_live=True,
)


class Recorder:
    """Frames in, a file out. The first frame fixes the size; others are fitted into it with a black border."""

    def __init__(self, path: Path, rate: Fraction | None, way: Way = WHOLE, mark: str | None = None) -> None:
        """`mark` is a comment within the file. Live, a file of this name stays and this one gets a number."""
        self.rate, self.way, self.mark = rate or DEFAULT_RATE, way, mark
        self._last_tick, self._key_due_s = -1, Fraction(0)
        self._container: Any = None
        with writing(path):
            self.path, self._part, file = begin_file(path) if way.is_live else _begin_anew(path)
        self._output = Output(file)

    @property
    def seconds(self) -> float:
        """From the first frame to the last."""
        return float(max(0, self._last_tick) * TIME_BASE)

    @property
    def bytes(self) -> int:
        return self._output.bytes

    def write(self, picture: NDArray[np.uint8], time: Fraction | None, index: int) -> None:
        """One (H, W, 3) BGR picture, shown from `time` seconds on, or at the rate's beat when there is no time."""
        with writing(self.path), _encoding(self.path):
            if self._container is None:
                self._start(picture.shape[0], picture.shape[1])
            frame = av.VideoFrame.from_ndarray(
                _fitted(picture, (self._stream.height, self._stream.width)), format="bgr24"
            )
            shown_s = time if time is not None else index / self.rate
            frame.pts, frame.time_base = self._tick(shown_s), TIME_BASE
            if self.way.key_every_s and shown_s >= self._key_due_s:
                frame.pict_type = av.video.frame.PictureType.I
                self._key_due_s = shown_s + self.way.key_every_s
            self._container.mux(self._stream.encode(frame))

    def _start(self, height: int, width: int) -> None:
        suffix = self.path.suffix.lower()
        options = dict(self.way.container[suffix])
        self._container = av.open(self._output, mode="w", format=FORMATS[suffix], container_options=options)
        if self.mark is not None:
            self._container.metadata["comment"] = self.mark
        stream = self._container.add_stream(CODEC, rate=self.rate, options=dict(self.way.codec))
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
            self._output.flush()
            self._name()
        self._output.close()

    def _name(self) -> None:
        """Before the file is closed: until then it is locked, and nobody takes it for a leftover."""
        if self.way.is_live:
            self.path = keep_as(self._part, self.path)
        else:
            os.replace(self._part, self.path)

    def close(self) -> None:
        """Give everything back. What was not finished is removed; live, it is kept if a frame can be read from it."""
        if not (self.way.is_live and self._is_kept()):
            with suppress(OSError):
                self._part.unlink()
        self._output.close()

    def _is_kept(self) -> bool:
        """Close the file as far as the disk allows: where it has no room, without an index."""
        if self._container is None or not self._part.exists():
            return False
        with suppress(av.error.FFmpegError, OSError):
            self._container.close()
        if not is_readable(self._part):
            return False
        with suppress(OSError):
            self._name()  # or it waits under its temporary name for the next start
        return True


def _begin_anew(path: Path) -> tuple[Path, Path, BinaryIO]:
    """As `begin_file`, where the file is to replace one of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    file = part.open("w+b")  # Python's own file: unlike libavformat's it raises on a full disk
    lock(file)
    return path, part, file


class Output:
    """The file as FFmpeg sees it; only the first failure is raised, for FFmpeg goes on and PyAV prints the rest."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._failed, self.bytes = file, False, 0
        self.tell, self.flush = file.tell, file.flush

    def write(self, content: bytes) -> int:
        return self._once(lambda: self._write_all(content), len(content))

    def _write_all(self, content: bytes) -> int:
        left = memoryview(content)
        while left:  # what is not buffered may be written in parts
            left = left[self._file.write(left) :]
        self.bytes = max(self.bytes, self._file.tell())
        return len(content)

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

    def close(self) -> None:
        with suppress(OSError):
            self._file.close()


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
