"""The stream: sources, a model and sinks in threads of their own, and the main thread that waits on signals only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from fcn_edge.errors import DeviceError, SourceError
from fcn_edge.interrupt import Interrupt
from runtime.segmenter import Segmenter
from runtime.sinks.sink import Segmented, Sink
from runtime.stream.bell import Bell
from runtime.stream.feed import Feed
from runtime.stream.inference import MOST_AGE_S, Inference
from runtime.stream.measures import Measures
from runtime.stream.outlet import Outlet
from runtime.stream.overview import StateClock, model_reason, reasons_of
from runtime.stream.report import StreamReport
from runtime.stream.status import Reason, SourceStatus, Status
from runtime.stream.turns import Turns

TICK_S, POLL_S = 1.0, 0.05

# From a signal to the exit: five seconds are promised, and the model and the process must be closed in them too.
STOP_SOURCES_S, STOP_MODEL_S, STOP_SINKS_S = 1.5, 0.8, 0.8


@dataclass(frozen=True)
class StreamOptions:
    """How a stream treats frames, and who is asked what once in a while."""

    most_fps: float | None = None  # of each live source
    most_age_s: float = MOST_AGE_S  # of a frame when the model takes it
    machine: Callable[[], Mapping[str, Any]] = dict  # temperatures, clocks, ... now
    machine_reason: Callable[[], Reason | None] = lambda: None  # what of them holds the stream back
    guard: Callable[[], AbstractContextManager[object]] = nullcontext  # around each use of the model
    ticks: Sequence[Callable[[Status], None]] = ()  # called in the main thread once a second
    on_frame: Callable[[], None] = lambda: None  # called after each mask, in the thread of the model
    on_stop: Callable[[], None] = lambda: None  # called when the stream begins to stop
    model: Mapping[str, Any] = field(default_factory=dict)  # what `Status.model` tells


class Stream:
    """Add sources and sinks, then `run` once. `status` may be asked by any thread, at any time."""

    def __init__(self, segmenter: Segmenter, options: StreamOptions = StreamOptions()) -> None:
        self.options, self.measures = options, Measures()
        self.feeds: list[Feed] = []
        self.outlets: list[Outlet] = []
        self._turns, self._bell, self._state = Turns(options.most_fps), Bell(), StateClock()
        self._segmenter = segmenter
        self._inference = self._new_inference()
        self._began_s = monotonic()
        self._is_seen_enough = self._is_stopping = False
        self._lost = 0  # frames that were bad or dropped, at the last tick

    def _new_inference(self) -> Inference:
        options = self.options
        return Inference(
            self._turns,
            self._segmenter,
            self.outlets,
            self.measures,
            on_frame=options.on_frame,
            on_end=self._bell.ring,
            guard=options.guard,
            most_age_s=options.most_age_s,
        )

    def arrived(self) -> None:
        """What sources call when they have a frame or have ended."""
        self._turns.arrived()

    def add_source(self, feed: Feed) -> None:
        self.feeds.append(feed)

    def add_sink(self, name: str, open_sink: Callable[[], Sink], only: str | None = None) -> None:
        """Opens it; it gets the frames of all sources, or of one.

        After the sources: the model waits for a sink, or not, as they are files or cameras.
        """
        live = any(feed.live for feed in self.feeds)
        self.outlets.append(
            Outlet(name, open_sink, live=live, only=only, on_times=self.measures.add, on_end=self._bell.ring)
        )

    def run(self, interrupt: Interrupt) -> StreamReport:
        """Until the sources end, a window is closed or the user interrupts.

        What the sinks write gets its final name when the run ends well, by the user's wish, or with a source or the
        GPU; not when a file's sink fails or the model raises anything else. Sources and sinks are closed always.
        """
        interrupt.on_wish = self._bell.ring
        started = monotonic()
        try:
            self._begin()
            self._watch(interrupt)
            seconds = monotonic() - started
            abandoned = self._stop(interrupt)
            self._raise_failure(interrupt)
            self._finish()
        finally:
            self.close()
        counts = [feed.counts.now() for feed in self.feeds]
        sinks = [outlet.status() for outlet in self.outlets]
        return StreamReport(counts, seconds, self.measures.summary(), sinks, abandoned)

    def _begin(self) -> None:
        self._turns.begin(self.feeds)
        for feed in self.feeds:
            feed.start()
        self._inference.start()

    def _watch(self, interrupt: Interrupt) -> None:
        next_tick = monotonic() + TICK_S
        while not (interrupt.wished or self._has_ended()):
            self._bell.wait(max(0.0, next_tick - monotonic()))
            if monotonic() >= next_tick:
                self._tick()
                next_tick = monotonic() + TICK_S

    def end(self) -> None:
        """A viewer has seen enough. Any thread may say so."""
        self._is_seen_enough = True
        self._bell.ring()

    def _has_ended(self) -> bool:
        return self._is_seen_enough or self._inference.join(0) or any(outlet.has_ended for outlet in self.outlets)

    def _tick(self) -> None:
        counts = [feed.counts.now() for feed in self.feeds]
        lost = sum(sum(one.bad.values()) + sum(one.dropped.values()) for one in counts)
        self.measures.dropped(lost - self._lost)
        self._lost = lost
        status = self.status()
        for tick in self.options.ticks:
            tick(status)

    def _stop(self, interrupt: Interrupt) -> list[str]:
        """Sources first, then the model, then the sinks, which write what they have. Tells who did not end in time."""
        self._is_stopping = True
        self.options.on_stop()
        self._turns.stop()
        _all_at_once(lambda feed: feed.stop(STOP_SOURCES_S), self.feeds)
        self._inference.join(STOP_MODEL_S)
        for outlet in self.outlets:
            outlet.end()  # which also frees a model that waits for room
        left = [] if self._inference.join(STOP_MODEL_S / 4) else ["the model"]
        return left + self._drain(interrupt)

    def _drain(self, interrupt: Interrupt) -> list[str]:
        """A file's sinks take the time they need, until the user has waited long enough."""
        waiting, deadline = list(self.outlets), monotonic() + STOP_SINKS_S
        while waiting and (monotonic() < deadline or not interrupt.wished):
            waiting = [outlet for outlet in waiting if not outlet.drain(POLL_S)]
            deadline = deadline if interrupt.wished else monotonic() + STOP_SINKS_S
        for outlet in waiting:
            outlet.discard()
        return [f"the sink {outlet.name}" for outlet in waiting if not outlet.drain(STOP_SINKS_S / len(waiting))]

    def _raise_failure(self, interrupt: Interrupt) -> None:
        """What ended the stream, if it was no wish. What was segmented before a device failed is worth keeping."""
        failures = [outlet.failure for outlet in self.outlets] + [self._inference.failure]
        failures += [None if interrupt.wished else feed.failure for feed in self.feeds]
        failure = next((one for one in failures if one), None)
        if isinstance(failure, (DeviceError, SourceError)):
            self._finish()
        if failure:
            raise failure

    def _finish(self) -> None:
        for outlet in self.outlets:
            outlet.finish()

    def close(self) -> None:
        """Give back sources and sinks, of a stream that never ran too."""
        self._turns.stop()
        _all_at_once(lambda feed: feed.stop(STOP_SOURCES_S), self.feeds)
        self._inference.join(STOP_MODEL_S)
        for outlet in self.outlets:
            outlet.end()
            outlet.discard()
            outlet.drain(0 if self._is_stopping else STOP_SINKS_S)
            outlet.close()

    def status(self) -> Status:
        sources = [self._source_status(feed) for feed in self.feeds]
        sinks = [outlet.status() for outlet in self.outlets]
        reasons = reasons_of(sources, sinks, (model_reason(self._inference.failed_at_s), self.options.machine_reason()))
        last = self._inference.last_at_s
        state, since = self._state.now(has_frames=last is not None, is_stopping=self._is_stopping, reasons=reasons)
        return Status(
            state,
            since,
            reasons,
            monotonic() - self._began_s,
            self.options.model,
            sources,
            sinks,
            sum(source.rate or 0.0 for source in sources),
            self.measures.segmented_fps(),
            self.measures.age_ms("mask"),
            self.measures.age_ms("wire"),
            self.measures.stages_ms(),
            self.measures.history(),
            self.options.machine(),
            None if last is None else monotonic() - last,
        )

    def _source_status(self, feed: Feed) -> SourceStatus:
        newest = self._inference.newest(feed.name)
        if newest is None:
            return feed.status()
        return replace(feed.status(), class_shares=self._shares(newest))

    def _shares(self, newest: Segmented) -> dict[str, float]:
        names = self._segmenter.session.facts.labels.names
        return {name: int(n) / newest.mask.size for name, n in zip(names, newest.pixels, strict=False)}


def _all_at_once(stop: Callable[[Feed], None], feeds: Iterable[Feed]) -> None:
    """So that several cameras take no longer to stop than one."""
    threads = [threading.Thread(target=stop, args=(feed,), daemon=True) for feed in feeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(STOP_SOURCES_S + 0.5)
