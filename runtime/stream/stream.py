"""The way of every frame: source, segmenter, sinks. Counts what came, what was segmented and what was bad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from time import monotonic_ns, perf_counter

from fcn_edge.errors import DeviceError, SourceError
from fcn_edge.interrupt import Interrupt
from fcn_edge.progress import progress
from runtime.latency import StageTimes
from runtime.segmenter import Segmenter
from runtime.sinks.sink import Segmented, Sink, WindowClosed
from runtime.sources.frame import Frame, FrameSource


@dataclass
class StreamReport:
    """What a run did. received = segmented + bad + dropped."""

    segmented: int = 0
    bad: int = 0
    dropped: int = 0
    seconds: float = 0.0
    times: StageTimes = field(default_factory=StageTimes)

    @property
    def received(self) -> int:
        return self.segmented + self.bad + self.dropped

    @property
    def fps(self) -> float:
        return self.segmented / self.seconds if self.seconds else 0.0


def run_stream(source: FrameSource, segmenter: Segmenter, sinks: Sequence[Sink], interrupt: Interrupt) -> StreamReport:
    """Segment every frame of the source into every sink, until it ends, a window is closed or the user interrupts.

    What the sinks write gets its final name when the run ends well, by the user's wish, or with the source or the GPU;
    not when a sink fails or the model raises anything else. Closed they are always.
    """
    report = StreamReport()
    with ExitStack() as stack:
        for sink in sinks:
            stack.enter_context(closing(sink))
        with progress("segmenting", source.count) as step:
            started = perf_counter()
            try:
                for frame, decode_ms in _timed(source):
                    _segment(frame, decode_ms, segmenter, sinks, report)
                    report.seconds = perf_counter() - started
                    step(f"{report.fps:.1f} fps")
                    if interrupt.wished:
                        break
            except WindowClosed:
                pass
            except DeviceError:
                _finish(sinks)  # what was segmented until the GPU or the source failed is worth keeping
                raise
            except SourceError:
                if not interrupt.wished:
                    _finish(sinks)
                    raise
        _finish(sinks)
    report.bad, report.dropped = source.bad, getattr(source, "dropped", 0)
    return report


def _finish(sinks: Sequence[Sink]) -> None:
    for sink in sinks:
        sink.finish()


def _segment(frame: Frame, decode_ms: float, segmenter: Segmenter, sinks: Sequence[Sink], report: StreamReport) -> None:
    result = segmenter(frame.image)
    times_ms = {"decode": decode_ms, **result.times_ms}
    segmented = Segmented(frame, result.mask, times_ms, result.model_mask, monotonic_ns())
    started = perf_counter()
    for sink in sinks:
        sink.write(segmented)
    report.segmented += 1
    report.times.add({**times_ms, "sinks": 1e3 * (perf_counter() - started)})


def _timed(source: FrameSource) -> Iterator[tuple[Frame, float]]:
    """Each frame with the milliseconds that were spent waiting for it."""
    asked = perf_counter()
    for frame in source:
        yield frame, 1e3 * (perf_counter() - asked)
        asked = perf_counter()
