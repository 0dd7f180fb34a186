"""A JSON line per frame, on standard output or in a file."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from fcn_edge.files import require_writable, writing
from fcn_edge.labels import LabelSet
from runtime.latency import Stopwatch
from runtime.sinks.sink import Segmented, SinkBase, Times


class JsonSink(SinkBase):
    """A JSON line per frame: number, name, time, size, the share of each class, milliseconds per stage."""

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels

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
            "index": frame.index,
            "name": frame.name,
            "time_s": None if frame.time is None else float(frame.time),
            "size_hw": list(segmented.mask.shape),
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
    """The lines in a file, which can be followed while it grows and never ends in half a line."""

    def __init__(self, path: Path, labels: LabelSet) -> None:
        super().__init__(labels)
        self.path = path
        require_writable(path.parent)
        with writing(path):
            self._file = path.open("wb", buffering=0)
        self._whole = 0  # bytes of whole lines

    def _print(self, text: str) -> None:
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
