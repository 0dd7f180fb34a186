"""A JSON line per frame, on standard output or in a file."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from fcn_edge.files import require_writable, writing
from runtime.latency import Stopwatch
from runtime.sinks.disk_space import Floor
from runtime.sinks.sink import Segmented, SinkBase, SinkContext, Times

LONGEST_LINE_BYTES = 1 << 20


class JsonSink(SinkBase):
    """A JSON line per frame: source, number, name, time, size, age, how many were dropped before it, the share of each
    class, milliseconds per stage."""

    keeps = 32

    def __init__(self, context: SinkContext) -> None:
        self.labels = context.labels

    def write(self, segmented: Segmented) -> Times:
        watch = Stopwatch()
        with watch("encode"):
            line = json.dumps(self._told(segmented)) + "\n"
        with watch("send"):
            self._print(line)
        return watch.times_ms

    def _told(self, segmented: Segmented) -> dict[str, Any]:
        frame = segmented.frame
        return {
            "source": frame.source,
            "index": frame.index,
            "name": frame.name,
            "time_s": None if frame.time is None else float(frame.time),
            "size_hw": list(segmented.mask.shape),
            "age_ms": round(segmented.age_ms, 3) if frame.received_ns else None,
            "dropped_before": segmented.dropped_before,
            "class_shares": {
                name: round(int(pixels) / segmented.mask.size, 6)
                for name, pixels in zip(self.labels.names, segmented.pixels, strict=False)
            },
            "times_ms": {stage: round(value, 3) for stage, value in segmented.times_ms.items()},
        }

    def _print(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class JsonFileSink(JsonSink):
    """The lines in a file, which can be followed while it grows and never ends in half a line.

    A camera's lines are added to those that are there.
    """

    def __init__(self, path: Path, context: SinkContext) -> None:
        super().__init__(context)
        self.path = path
        require_writable(path.parent)
        self._floor = Floor(path.parent, context.recording) if context.live else None
        if self._floor:
            self._floor.check()
        with writing(path):
            self._file = path.open("ab" if context.live else "wb", buffering=0)
            self._whole = _end_of_lines(path, self._file) if context.live else 0  # bytes of whole lines

    def _print(self, text: str) -> None:
        if self._floor and self._floor.is_due():
            self._floor.check()
        line = text.encode()
        with writing(self.path):
            try:
                if self._file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with suppress(OSError):  # a device cannot be cut, a full disk can
                    os.truncate(self.path, self._whole)
                raise
        self._whole += len(line)

    def close(self) -> None:
        self._file.close()


def _end_of_lines(path: Path, file: BinaryIO) -> int:
    """Bytes of the file, once its last line is whole: half a line, of a machine that lost its power, is cut away."""
    if not path.is_file():
        return 0
    size = path.stat().st_size
    with path.open("rb") as there:
        there.seek(max(0, size - LONGEST_LINE_BYTES))
        rest = there.read().rpartition(b"\n")[2]
    if not rest:
        return size
    if _is_half_a_line(rest):
        os.truncate(path, size - len(rest))
        return size - len(rest)
    file.write(b"\n")
    return size + 1


def _is_half_a_line(text: bytes) -> bool:
    """Whether it can be nothing but what is left of a line of ours."""
    if not text.startswith(b"{") or len(text) == LONGEST_LINE_BYTES:
        return False
    with suppress(ValueError):
        json.loads(text)
        return False
    return True
