"""Frames of a video file, decoded by FFmpeg through PyAV. (OpenCV's reader rescales and hides errors.)"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import SourceError, first_line
from fcn_edge.images import MAX_PIXELS
from fcn_edge.progress import say
from runtime.sources.frame import Frame

# A damaged packet is skipped; this many in a row and the rest of the file is taken for lost.
MAX_BAD_IN_A_ROW = 100


class VideoSource:
    """Every frame of the first video stream, in order, none dropped, turned upright as the file asks."""

    def __init__(self, path: Path) -> None:
        self.path, self.bad = path, 0
        try:
            self._container = av.open(f"file:{path}")  # or a name with a colon would be taken for a protocol
            if self._container.format.name == "tty":  # FFmpeg draws texts as pictures
                raise IndexError
            self._stream = self._container.streams.video[0]
        except (av.error.FFmpegError, IndexError, OSError) as error:
            found = "no video stream" if isinstance(error, IndexError) else first_line(error)
            raise SourceError(f"{path}: wanted a video that FFmpeg can read, found: {found}; convert it") from None
        self._stream.thread_type = "AUTO"
        self.rate: Fraction | None = self._stream.average_rate or self._stream.guessed_rate
        self.count = self._estimated_count()

    def _estimated_count(self) -> int | None:
        if self._stream.frames:
            return int(self._stream.frames)
        if self._container.duration and self.rate:
            return int(self._container.duration / av.time_base * self.rate)
        return None

    def __iter__(self) -> Iterator[Frame]:
        first: Fraction | None = None
        index = 0
        for decoded in self._decoded():
            time = decoded.pts * decoded.time_base if decoded.pts is not None and decoded.time_base else None
            first = time if first is None else first
            since_first = time - first if time is not None and first is not None else None
            yield Frame(_upright(decoded), index, self.path.name, since_first)
            index += 1
        if 0 < index + self.bad < self._stream.frames:
            say(f"{self.path}: ended after {index} of the {self._stream.frames} frames it declares; the file is cut")
        if not index:
            raise SourceError(f"{self.path}: wanted a video with frames, found none that can be decoded; convert it")

    def _decoded(self) -> Iterator[Any]:
        """Frames of all packets that decode; damaged ones are counted."""
        bad_in_a_row = 0
        packets = self._container.demux(self._stream)
        while bad_in_a_row < MAX_BAD_IN_A_ROW:
            try:
                frames = next(packets).decode()
            except (StopIteration, av.error.EOFError):
                return
            except av.error.FFmpegError:
                self.bad += 1
                bad_in_a_row += 1
                continue
            bad_in_a_row = 0
            yield from frames
        say(
            f"{self.path}: gave up after {MAX_BAD_IN_A_ROW} damaged packets in a row; what comes later is not segmented"
        )

    def close(self) -> None:
        self._container.close()


def _upright(decoded: Any) -> NDArray[np.uint8]:
    """(H, W, 3) BGR of a decoded frame, rotated by its display matrix (phones film lying down)."""
    if decoded.width * decoded.height > MAX_PIXELS:
        raise SourceError(
            f"wanted frames of at most 50 megapixels, found {decoded.width}x{decoded.height}; scale the video down"
        )
    image = decoded.to_ndarray(format="bgr24")
    quarter_turns = round(getattr(decoded, "rotation", 0) / 90) % 4  # counter-clockwise
    return np.ascontiguousarray(np.rot90(image, quarter_turns)) if quarter_turns else image
