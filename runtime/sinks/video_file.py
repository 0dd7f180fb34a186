"""The chosen view as a video file."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from runtime.latency import Stopwatch
from runtime.overlay import Overlay
from runtime.sinks.recorder import Recorder
from runtime.sinks.sink import Segmented, SinkBase, Times


class VideoSink(SinkBase):
    """The chosen view, written whole or not at all."""

    keeps = 32

    def __init__(self, path: Path, overlay: Overlay, view: str, rate: Fraction | None) -> None:
        self.overlay, self.view = overlay, view
        self._recorder = Recorder(path, rate)

    def write(self, segmented: Segmented) -> Times:
        watch = Stopwatch()
        with watch("overlay"):
            picture = self.overlay.draw(segmented.frame.image, segmented.mask, self.view)
        with watch("encode"):
            self._recorder.write(picture, segmented.frame.time, segmented.frame.index)
        return watch.times_ms

    def finish(self) -> None:
        self._recorder.finish()

    def close(self) -> None:
        self._recorder.close()
