"""A live source: a thread has a child read it, hands on its newest picture, and connects it anew for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from time import monotonic

from fcn_edge.errors import SourceError
from fcn_edge.progress import say
from runtime.capture.backoff import Backoff
from runtime.capture.connection import Connection
from runtime.capture.intake import Intake
from runtime.capture.limits import Limits
from runtime.sources.address import Address
from runtime.sources.frame import Frame
from runtime.stream.counts import FrameCounts
from runtime.stream.status import Reason, SourceState, SourceStatus

LOOK_EVERY_S = 0.25  # at the clock, and at whether to stop
READERS = "runtime.capture.reader:open_reader"


class Camera:
    """A feed of the stream. `arrived` is called, in the camera's thread, whenever a picture or another state is there.

    With `retry` off the first fault is the end, and `failure` tells it. `factory` names what opens the reader.
    """

    live = True

    def __init__(
        self,
        name: str,
        address: Address,
        counts: FrameCounts,
        arrived: Callable[[], None],
        limits: Limits | None = None,
        retry: bool = True,
        factory: str = READERS,
    ) -> None:
        self.name, self.counts = name, counts
        self.failure: BaseException | None = None
        self._address, self._arrived = address, arrived
        self._limits, self._retry, self._factory = limits or Limits(), retry, factory
        self._grace_s = self._limits.grace_s
        self._intake = Intake(name, counts)
        self._lock = threading.Lock()  # of what `status` tells
        self._state, self._since_s = SourceState.CONNECTING, monotonic()
        self._reason: Reason | None = None
        self._connects = self._attempts = 0
        self._logged: Sequence[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def take(self) -> Frame | None:
        """The newest picture, if it was not taken yet."""
        return self._intake.newest.take()

    @property
    def is_over(self) -> bool:
        return self._state is SourceState.ENDED and self._intake.newest.is_empty

    def stop(self, within_s: float) -> None:
        self._grace_s = min(self._grace_s, within_s / 3)  # noticing and killing may take as long each
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(within_s)
        self._intake.newest.discard("stopped")

    def status(self) -> SourceStatus:
        with self._lock:
            return SourceStatus(
                self.name,
                self._address.shown,
                self.live,
                self._state,
                monotonic() - self._since_s,
                self._reason,
                self._intake.size_hw,
                self._intake.rate,
                self._connects,
                self._attempts,
                self.counts.now(),
            )

    def _run(self) -> None:
        try:
            self._connect_for_ever()
        except BaseException as error:  # whatever it is, whoever waits for frames must hear of it
            self.failure = error
        self._enter(SourceState.ENDED, self._reason)

    def _connect_for_ever(self) -> None:
        """Until it is to stop, the source comes to a good end, or fails where nobody wants it tried again."""
        backoff = Backoff(self._limits.retry_most_s)
        while not self._stopping.is_set():
            started_s = monotonic()
            reason = self._connect_once(backoff)
            if self._stopping.is_set():
                return
            if reason is None or not self._retry:
                return self._end(reason)
            self._pause(reason, backoff.next_start(started_s))

    def _connect_once(self, backoff: Backoff) -> Reason | None:
        """From the start of a connection to its end, and why it ended."""
        with self._lock:
            self._attempts += 1
        self._enter(SourceState.CONNECTING, self._reason)  # of the last attempt, until a picture comes
        try:
            connection = Connection(self._address, self._limits, self._factory, self._intake)
        except OSError as error:
            found = f"{self._address.shown}: no process to read it ({error.strerror or type(error).__name__})"
            return Reason("NO_PROCESS", found, "see what takes this machine's memory, processes and open files")
        try:
            self._follow(connection, backoff)
        finally:
            reason = connection.end(self._grace_s)
            if not self._stopping.is_set():
                self._log(connection.last_lines)
        return reason

    def _log(self, lines: Sequence[str]) -> None:
        """What a child printed before a bad end; the same again and again fills no log."""
        if lines != self._logged:
            for line in lines:
                say(f"{self.name}: {line}")
        self._logged = lines

    def _follow(self, connection: Connection, backoff: Backoff) -> None:
        while not (connection.is_over or self._stopping.is_set()):
            came = connection.follow(LOOK_EVERY_S)
            if connection.watch.has_pictures:
                self._show(connection)
            if connection.watch.is_steady:
                backoff.reset()
            if came:
                self._arrived()

    def _show(self, connection: Connection) -> None:
        """The state of one that has given pictures."""
        with self._lock:
            if self._attempts:  # this is its first
                self._attempts = 0
                self._connects += 1
        stalled = connection.watch.stalled(monotonic())
        state = SourceState.STALLED if stalled else SourceState.STREAMING
        self._enter(state, stalled or connection.watch.frozen())

    def _pause(self, reason: Reason, until_s: float) -> None:
        if until_s > monotonic():
            self._enter(SourceState.BACKOFF, reason)
            self._stopping.wait(until_s - monotonic())
        else:
            self._enter(self._state, reason)

    def _end(self, reason: Reason | None) -> None:
        if reason:
            self.failure = SourceError(f"wanted pictures, found {reason.text}; {reason.cure}")
        self._reason = reason

    def _enter(self, state: SourceState, reason: Reason | None) -> None:
        with self._lock:
            changed = (state, reason) != (self._state, self._reason)
            if state is not self._state:
                self._since_s = monotonic()
            self._state, self._reason = state, reason
        if changed:
            self._arrived()
