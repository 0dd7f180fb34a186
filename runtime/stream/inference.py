"""The one thread that runs the model: takes the next frame, drops what is too old, segments, hands the mask on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import monotonic, monotonic_ns

from fcn_edge.errors import DeviceError, ModelError, first_line
from fcn_edge.progress import say
from runtime.segmenter import Segmenter
from runtime.sinks.sink import Segmented
from runtime.sources.frame import Frame
from runtime.stream.feed import Feed
from runtime.stream.measures import Measures
from runtime.stream.outlet import Outlet
from runtime.stream.turns import Turns

MOST_AGE_S = 0.5  # a camera's frame that waited longer is not worth the model's time
MOST_FAILURES = 5  # in a row: what a new process may cure


class Inference:
    """Runs until the turns are over, or an error ends the stream: then `failure` tells which."""

    def __init__(
        self,
        turns: Turns,
        segmenter: Segmenter,
        outlets: Sequence[Outlet],
        measures: Measures,
        *,
        on_frame: Callable[[], None] = lambda: None,
        on_end: Callable[[], None] = lambda: None,
        guard: Callable[[], AbstractContextManager[object]] = nullcontext,
        most_age_s: float = MOST_AGE_S,
    ) -> None:
        """`guard` is entered around each use of the model: who watches it knows when it hangs."""
        self.turns, self.segmenter, self.outlets, self.measures = turns, segmenter, outlets, measures
        self.failure: BaseException | None = None
        self.failed_at_s: float | None = None  # monotonic, when the model last failed on a frame
        self.last_at_s: float | None = None  # monotonic, when a mask was last ready
        self._on_frame, self._on_end, self._guard, self._most_age_ns = on_frame, on_end, guard, int(1e9 * most_age_s)
        self._failures = 0
        self._lost_before: dict[str, int] = {}
        self._newest: dict[str, Segmented] = {}
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, within_s: float) -> bool:
        """Whether it has ended."""
        if self._thread.ident is not None:
            self._thread.join(within_s)
        return not self._thread.is_alive()

    def newest(self, source: str) -> Segmented | None:
        return self._newest.get(source)

    def _run(self) -> None:
        try:
            while (turn := self.turns.next()) is not None:
                self._pass(*turn)
        except BaseException as error:  # whatever it is, the main thread tells it
            self.failure = error
        self._on_end()

    def _pass(self, feed: Feed, frame: Frame) -> None:
        """One frame, from its turn to the sinks' queues."""
        taken_ns = monotonic_ns()
        if feed.live and taken_ns - frame.received_ns > self._most_age_ns:
            feed.counts.drop("stale")
            return
        segmented = self._segmented(feed, frame, taken_ns)
        if segmented is None:
            return
        feed.counts.segment()
        self.last_at_s, self._failures = monotonic(), 0
        self._newest[feed.name] = segmented
        self.measures.add(segmented.times_ms)
        self.measures.segmented(segmented.age_ms if feed.live else None)
        for outlet in self.outlets:
            outlet.put(segmented)
        self._on_frame()

    def _segmented(self, feed: Feed, frame: Frame, taken_ns: int) -> Segmented | None:
        """None where the model failed on a camera's frame: the next may be better."""
        try:
            with self._guard():
                result = self.segmenter(frame.image, feed.name, 1e-9 * frame.received_ns if feed.live else None)
        except DeviceError:
            feed.counts.drop("model")
            raise
        except Exception as error:
            feed.counts.drop("model")
            if not feed.live:
                raise
            self._endure(error)
            return None
        before = {"decode": 1e-6 * (frame.decoded_ns - frame.received_ns)}
        if feed.live:
            before["wait"] = 1e-6 * (taken_ns - frame.decoded_ns)
        times = {**before, **result.times_ms}
        lost = self._lost(feed)
        return Segmented(frame, result.mask, times, result.model_mask, monotonic_ns(), lost)

    def _lost(self, feed: Feed) -> int:
        """Frames that were not segmented since the last that was."""
        counts = feed.counts.now()
        lost = sum(counts.bad.values()) + sum(counts.dropped.values())
        before, self._lost_before[feed.name] = self._lost_before.get(feed.name, 0), lost
        return lost - before

    def _endure(self, error: Exception) -> None:
        self.failed_at_s, self._failures = monotonic(), self._failures + 1
        say(f"the model failed on a frame: {type(error).__name__}: {first_line(error)}")
        if self._failures < MOST_FAILURES:
            return
        if isinstance(error, ModelError):  # a new process would have the same model
            raise error
        raise DeviceError(
            f"wanted a mask, found {MOST_FAILURES} failures of the model in a row, the last: {first_line(error)}; "
            "start again"
        ) from error
