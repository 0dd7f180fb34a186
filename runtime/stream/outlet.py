"""A sink with a queue and a thread of its own, so that none can hold up the model or another sink.

Of a camera, the oldest frame makes room for the newest and a sink that fails is closed and opened anew, for ever; of a
file, the model waits for every sink and a sink that fails ends the stream.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

from fcn_edge.errors import FcnEdgeError
from fcn_edge.progress import say
from runtime.sinks.disk_space import DiskFull, is_disk_full
from runtime.sinks.sink import Segmented, Sink, SinkBase, Times, WindowClosed
from runtime.stream.status import Reason, SinkStatus

OPEN_AGAIN_S = 5.0  # how long a sink that failed is left alone
OPEN_WITHIN_S = 5.0  # how long a camera's stream waits for a sink at its start: a pipe may never get a reader
STUCK_S = 10.0  # one write that takes longer is told


class Outlet:
    """Writes to one sink what `put` gives it.

    `on_end` is called, once, when a file's sink failed or a viewer closed its window: the stream shall end.
    """

    def __init__(
        self,
        name: str,
        open_sink: Callable[[], Sink],
        *,
        live: bool,
        only: str | None = None,
        on_times: Callable[[Times], None] = lambda times: None,
        on_end: Callable[[], None] = lambda: None,
        open_again_s: float = OPEN_AGAIN_S,
        stuck_s: float = STUCK_S,
    ) -> None:
        """Opens the sink, so that one that cannot be is refused before the stream begins; a camera's may wait for
        room on the disk, and goes on without one that takes `OPEN_WITHIN_S` to open.

        `only`: the name of the one source whose frames it takes.
        """
        self.only = only
        self.name, self.live, self.open_again_s, self._stuck_s = name, live, open_again_s, stuck_s
        self._open, self._on_times, self._on_end = open_sink, on_times, on_end
        self._waiting: deque[Segmented] = deque()
        self._changed = threading.Condition()
        self._ending = self._ended = False
        self.failure: BaseException | None = None  # of a file's sink
        self._reason: Reason | None = None
        self._open_at_s = self._busy_since_s = 0.0
        self._written = self._dropped = 0
        self._keeps = SinkBase.keeps
        self._sink: Sink | None = None
        self._is_open, self._is_late = False, False
        self._refusal: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name=f"sink {name}", daemon=True)
        self._thread.start()
        self._await_opening()

    def _await_opening(self) -> None:
        """Raises what the opening raised; of a camera's sink that takes too long to open nobody waits for the rest."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_open or self._refusal, OPEN_WITHIN_S if self.live else None)
            self._is_late = not self._is_open
            if self._refusal:
                raise self._refusal

    def _open_first(self) -> bool:
        """Whether the stream wants it."""
        self._busy_since_s = monotonic()
        try:
            self._opened()
        except BaseException as error:
            with self._changed:
                if not (self.live and (self._is_late or isinstance(error, DiskFull))):
                    self._refusal = error
                    self._changed.notify_all()
                    return False
            self._leave_alone(error)
        with self._changed:
            self._is_open, self._busy_since_s = True, 0.0
            self._changed.notify_all()
        return True

    @property
    def has_ended(self) -> bool:
        """It failed for good, or its viewer closed it."""
        return self._ended

    def put(self, segmented: Segmented) -> None:
        """Of a camera: never waits. Of a file: waits until there is room."""
        if self.only not in (None, segmented.frame.source):
            return
        with self._changed:
            if self.live and len(self._waiting) >= self._keeps:
                self._waiting.popleft()
                self._lose()
            self._changed.wait_for(lambda: self._ending or len(self._waiting) < self._keeps)
            if self._ending:
                self._lose()
            else:
                self._waiting.append(segmented)
            self._changed.notify_all()

    def _work(self) -> None:
        if not self._open_first():
            return
        while (segmented := self._next()) is not None:
            try:
                self._write(segmented)
            except WindowClosed as closed:
                self._end(closed)
            except Exception as error:
                self._fail(error)
            self._busy_since_s = 0.0

    def _next(self) -> Segmented | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ending or self._waiting)
            if not self._waiting:
                return None
            segmented = self._waiting.popleft()
            self._busy_since_s = monotonic()
            self._changed.notify_all()
            return segmented

    def _write(self, segmented: Segmented) -> None:
        sink = self._sink or self._opened()
        if sink is None:
            self._lose()
            return
        times = sink.write(segmented)
        self._written += 1
        self._reason = None
        self._on_times(times)

    def _opened(self) -> Sink | None:
        """The sink, opened again, where it is time to try."""
        if monotonic() < self._open_at_s:
            return None
        self._sink = self._open()
        self._keeps = self._sink.keeps
        return self._sink

    def _fail(self, error: Exception) -> None:
        """What a camera's stream must survive; a file's ends with it."""
        self._lose()
        if not self.live:
            self._end(error)
            return
        if not isinstance(error, FcnEdgeError):  # our bug: the recording fails, the stream and its page go on
            say(f"{self.name}: {type(error).__name__}: {error}")
        self._leave_alone(error)
        self._let_go()

    def _leave_alone(self, error: BaseException) -> None:
        """For a while; frames are lost meanwhile."""
        self._reason = Reason(
            "DISK_FULL" if is_disk_full(error) else "SINK_FAILED",
            f"{self.name}: {error}" if self.name not in str(error) else str(error),
            f"it is opened anew every {self.open_again_s:.0f} s",
        )
        self._open_at_s = monotonic() + self.open_again_s

    def _end(self, error: BaseException) -> None:
        self.failure = None if isinstance(error, WindowClosed) else error
        self._ended = True
        self.discard()
        self.end()
        self._on_end()

    def end(self) -> None:
        """Take no more."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()

    def drain(self, within_s: float) -> bool:
        """After `end`: whether all that waits was written in time."""
        if self._thread.ident is not None:
            self._thread.join(within_s)
        return not self._thread.is_alive()

    def discard(self) -> None:
        """Write what is being written, and no more of what waits."""
        with self._changed:
            self._lose(len(self._waiting))
            self._waiting.clear()

    def _lose(self, count: int = 1) -> None:
        with self._changed:
            self._dropped += count

    def finish(self) -> None:
        """Give what was written its final name. A sink that is still writing is left alone."""
        if self._sink and not self._thread.is_alive() and not self.failure:
            try:
                self._sink.finish()
            except FcnEdgeError as error:
                if not self.live:
                    raise
                say(str(error))

    def close(self) -> None:
        """Give the sink back, whatever became of it."""
        if not self._thread.is_alive():
            self._let_go()

    def _let_go(self) -> None:
        sink, self._sink = self._sink, None
        if sink:
            with suppress(FcnEdgeError, OSError):
                sink.close()

    def status(self) -> SinkStatus:
        since, sink = self._busy_since_s, self._sink
        reason, state = self._reason, "failed" if self._reason else "ok"
        if since and monotonic() - since > self._stuck_s:
            state = "stuck"
            reason = Reason(
                "SINK_STUCK",
                f"{self.name}: one frame has been written for {monotonic() - since:.0f} s",
                "check the disk, the network share or the viewer that it writes to",
            )
        facts = sink.facts() if sink else {}
        return SinkStatus(self.name, state, self._written, self._dropped, len(self._waiting), reason, facts)
