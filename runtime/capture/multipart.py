"""Pictures out of a body of multipart/x-mixed-replace, as MJPEG cameras send it; forgiving of how they write it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from runtime.capture.jpeg import END, jpeg_end

MOST_BYTES = 50_000_000  # of one picture
MOST_LINE_BYTES = 8192
MOST_LINES = 100  # between two pictures
CHUNK_BYTES = 65536


class MalformedStream(Exception):
    """What comes is no multipart stream of pictures."""


class Parts:
    """Each picture's bytes, and when the last of them was here. A part is its headers, an empty line, and as much as
    Content-Length says; without it, up to the JPEG's own end, so that a picture needs not wait for the next one. The
    boundary is the one that is written, for some cameras announce another."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        """`read(n)` gives what is there, n bytes at most, waits where there is nothing, and gives b"" at the end."""
        self._read, self._buffer, self._came_ns = read, bytearray(), 0
        self._boundary = b"--"

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        try:
            while True:
                length = self._length()
                data = self._jpeg() if length is None else self._take(length)
                yield data, self._came_ns
        except EOFError:
            return

    def _length(self) -> int | None:
        """Read up to the start of a picture; its Content-Length."""
        length, in_headers = None, False
        for _ in range(MOST_LINES):
            line = self._line()
            if not line and in_headers:
                return length
            name, _, value = line.partition(b":")
            in_headers = in_headers or bool(line)
            if line.startswith(b"--"):
                self._boundary = line
            elif name.strip().lower() == b"content-length":
                length = _whole(value)
        raise MalformedStream("no picture between its headers")

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n", 0, MOST_LINE_BYTES)) < 0:
            if len(self._buffer) >= MOST_LINE_BYTES:
                raise MalformedStream("a line without end")
            self._fill()
        return self._cut(end + 1).strip()

    def _take(self, length: int) -> bytes:
        while len(self._buffer) < length:
            self._fill()
        return self._cut(length)

    def _jpeg(self) -> bytes:
        seen = 0
        while True:
            # Only a new end marker can end it, and that may lie across two reads.
            if self._buffer.find(END, max(0, seen - 1)) >= 0 and (end := jpeg_end(self._buffer)):
                return self._cut(end)
            if (end := self._buffer.find(b"\n" + self._boundary, max(0, seen - len(self._boundary)))) >= 0:
                return self._cut(end + 1)  # the next one begins, so this one has no end
            seen = len(self._buffer)
            if seen > MOST_BYTES:
                raise MalformedStream("a picture without end")
            self._fill()

    def _fill(self) -> None:
        chunk = self._read(CHUNK_BYTES)
        if not chunk:
            raise EOFError
        self._came_ns = time.monotonic_ns()
        self._buffer += chunk

    def _cut(self, count: int) -> bytes:
        head = bytes(self._buffer[:count])
        del self._buffer[:count]
        return head


def _whole(value: bytes) -> int:
    digits = value.strip()
    if not digits.isdigit() or len(digits) > 12 or int(digits) > MOST_BYTES:
        raise MalformedStream("a picture of an impossible length")
    return int(digits)
