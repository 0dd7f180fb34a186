"""The chosen view as video: one file of a file, a series of recordings of a camera."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import monotonic_ns
from typing import Any

from runtime.latency import Stopwatch
from runtime.sinks.recorder import Recorder
from runtime.sinks.salvage import Salvage
from runtime.sinks.segments import Segments
from runtime.sinks.series import Series
from runtime.sinks.sink import Segmented, SinkBase, SinkContext, Times

SALVAGE_WAIT_S = 2.0  # at the end, for a leftover that is nearly recovered


class VideoSink(SinkBase):
    """The chosen view, written whole or not at all."""

    keeps = 32

    def __init__(self, path: Path, context: SinkContext) -> None:
        self.overlay, self.view = context.overlay(), context.view
        recovered = path.with_name(f"{path.stem}-recovered{path.suffix}")  # it was never whole: it gets no final name
        self._salvage = Salvage([(part, recovered) for part, _ in Series(str(path)).leftovers()])
        self._recorder = Recorder(path, context.rate)
        self._salvage.start()

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
        self._salvage.stop(SALVAGE_WAIT_S)


class RecordingSink(SinkBase):
    """The chosen view of a camera, in files that stay readable whatever ends them."""

    keeps = 32

    def __init__(self, pattern: str, context: SinkContext) -> None:
        self.overlay, self.view = context.overlay(), context.view
        series = Series(pattern)
        self._segments = Segments(series, context.recording, context.rate)
        self._salvage = Salvage(series.leftovers())
        self._salvage.start()

    def write(self, segmented: Segmented) -> Times:
        watch = Stopwatch()
        with watch("overlay"):
            picture = self.overlay.draw(segmented.frame.image, segmented.mask, self.view)
        with watch("encode"):
            self._segments.write(picture, segmented.frame.received_ns or monotonic_ns(), segmented.frame.index)
        return watch.times_ms

    def facts(self) -> Mapping[str, Any]:
        return self._segments.facts()

    def finish(self) -> None:
        self._segments.finish()

    def close(self) -> None:
        self._segments.close()
        self._salvage.stop(SALVAGE_WAIT_S)
