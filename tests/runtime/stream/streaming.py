"""Streams for tests: scripted files and cameras, sinks that remember, sessions that are functions."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from time import monotonic, monotonic_ns, sleep

import numpy as np

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import OutputError
from fcn_edge.interrupt import Interrupt
from runtime.segmenter import Segmenter
from runtime.session import FakeSession
from runtime.sinks.sink import NONE, Segmented, Sink, SinkBase, SinkContext, Times
from runtime.sources.frame import Frame, FrameSource
from runtime.stream.counts import FrameCounts
from runtime.stream.feed import FileFeed
from runtime.stream.report import StreamReport
from runtime.stream.status import SourceState, SourceStatus
from runtime.stream.stream import Stream, StreamOptions
from tests.runtime.sinks.test_recorder import steps

CONTEXT = SinkContext(STREET_LABELS, "overlay", 0.0, Fraction(25))


class Steps:
    """A file of a few flat frames; `before` is called before each."""

    def __init__(self, count: int, before: Callable[[int], None] = lambda index: None) -> None:
        self.rate, self.count, self.bad, self.before = Fraction(25), count, 0, before
        self.is_closed = False

    def __iter__(self) -> Iterator[Frame]:
        for index, image in enumerate(steps(self.count or 0)):
            self.before(index)
            yield Frame(image, index, "steps", Fraction(index, 25))

    def close(self) -> None:
        self.is_closed = True


class Clockwork:
    """A camera that gives a frame every `1 / fps` seconds for as long as nobody stops it: newest wins."""

    live = True
    failure: BaseException | None = None

    def __init__(self, name: str, fps: float, arrived: Callable[[], None]) -> None:
        self.name, self.fps, self.arrived, self.counts = name, fps, arrived, FrameCounts()
        self._newest: deque[Frame] = deque(maxlen=1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        started, index = monotonic(), 0
        while not self._stop.wait(max(0.0, started + index / self.fps - monotonic())):
            now = monotonic_ns()
            self.counts.receive()
            if self._newest:
                self.counts.drop("overwritten")
            self._newest.append(Frame(steps(1)[0], index, self.name, None, self.name, now, now))
            self.arrived()
            index += 1

    def take(self) -> Frame | None:
        return self._newest.pop() if self._newest else None

    @property
    def is_over(self) -> bool:
        return False

    def status(self) -> SourceStatus:
        return SourceStatus(self.name, self.name, True, SourceState.STREAMING, 1.0, counts=self.counts.now())

    def stop(self, within_s: float) -> None:
        self._stop.set()
        self._thread.join(within_s)
        if self._newest:
            self._newest.clear()
            self.counts.drop("stopped")


class Witness(SinkBase):
    """Remembers what it was given and how it ended; may fail at a frame or at its end, or take its time."""

    def __init__(
        self, fail_at: int = -1, error: Exception | None = None, fail_to_finish: bool = False, seconds: float = 0
    ) -> None:
        self.seen: list[int] = []
        self.got: list[Segmented] = []
        self.end: list[str] = []
        self.fail_at, self.error, self.fail_to_finish, self.seconds = fail_at, error, fail_to_finish, seconds

    def write(self, segmented: Segmented) -> Times:
        if segmented.frame.index == self.fail_at and self.error:
            raise self.error
        sleep(self.seconds)
        self.seen.append(segmented.frame.index)
        self.got.append(segmented)
        return NONE

    def finish(self) -> None:
        self.end.append("finished")
        if self.fail_to_finish:
            raise OutputError("full")

    def close(self) -> None:
        self.end.append("closed")


def blue(frame: np.ndarray) -> np.ndarray:
    return frame[..., 0] // 32


def fake(infer: Callable[[np.ndarray], np.ndarray] = blue) -> Segmenter:
    return Segmenter(FakeSession(infer, STREET_LABELS, (48, 64)))


def file_stream(source: FrameSource, segmenter: Segmenter, sinks: Sequence[Sink]) -> Stream:
    """A stream of one file into sinks that are open already."""
    stream = Stream(segmenter)
    stream.add_source(FileFeed("file", source, stream.arrived))
    for place, sink in enumerate(sinks):
        stream.add_sink(f"sink {place}", lambda sink=sink: sink)  # type: ignore[misc]
    return stream


def run_stream(
    source: FrameSource, segmenter: Segmenter, sinks: Sequence[Sink], interrupt: Interrupt | None = None
) -> StreamReport:
    return file_stream(source, segmenter, sinks).run(interrupt or Interrupt("frame"))


def live_stream(
    segmenter: Segmenter,
    sinks: Sequence[Sink] = (),
    fps: Sequence[float] = (50.0,),
    options: StreamOptions | None = None,
) -> Stream:
    """A stream of one camera or several, at these rates."""
    stream = Stream(segmenter, options or StreamOptions())
    for place, rate in enumerate(fps):
        stream.add_source(Clockwork(f"camera {place}", rate, stream.arrived))
    for place, sink in enumerate(sinks):
        stream.add_sink(f"sink {place}", lambda sink=sink: sink)  # type: ignore[misc]
    return stream


def run_for(stream: Stream, seconds: float) -> StreamReport:
    """Run until the user has had enough."""
    interrupt = Interrupt("frame")

    def wish() -> None:
        interrupt.wished = True
        interrupt.on_wish()

    timer = threading.Timer(seconds, wish)
    timer.start()
    try:
        return stream.run(interrupt)
    finally:
        timer.cancel()
