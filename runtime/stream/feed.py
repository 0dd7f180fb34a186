"""What brings frames into the stream: a file read ahead by a thread of its own, or a camera (`capture.camera`)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from time import monotonic, monotonic_ns
from typing import Protocol

from runtime.sources.frame import Frame, FrameSource
from runtime.stream.counts import FrameCounts
from runtime.stream.status import SourceState, SourceStatus

READ_AHEAD = 4  # frames of a file that wait decoded: enough to keep the model busy, little memory


class Feed(Protocol):
    """One source of the stream. `arrived` was given to it: it is called whenever `take` may have something new."""

    name: str
    live: bool
    counts: FrameCounts

    def start(self) -> None: ...

    def take(self) -> Frame | None:
        """The next frame (of a camera: the newest), or None where there is none now."""

    @property
    def is_over(self) -> bool:
        """No frame will come any more."""

    @property
    def failure(self) -> BaseException | None:
        """Why it is over before its end."""

    def status(self) -> SourceStatus: ...

    def stop(self, within_s: float) -> None:
        """Read no more. What was read and not taken is dropped, and counted so."""


class FileFeed:
    """Every frame of a file or folder, in order; the reader waits while `READ_AHEAD` frames are not taken."""

    live = False

    def __init__(self, name: str, source: FrameSource, arrived: Callable[[], None]) -> None:
        self.name, self.source, self.counts = name, source, FrameCounts()
        self.failure: BaseException | None = None
        self._arrived, self._started_s = arrived, monotonic()
        self._frames: deque[Frame] = deque()
        self._changed = threading.Condition()
        self._ended = self._stopped = False
        self._reader = threading.Thread(target=self._read, name=f"read {name}", daemon=True)

    def start(self) -> None:
        self._reader.start()

    def _read(self) -> None:
        try:
            self._read_all()
        except BaseException as error:  # whatever it is, whoever waits for frames must hear of it
            self.failure = error
        with self._changed:
            self._ended = True
        self._arrived()

    def _read_all(self) -> None:
        asked, bad = monotonic_ns(), 0
        for frame in self.source:
            self._count_bad(self.source.bad - bad)
            bad = self.source.bad
            if not self._keep(replace(frame, source=self.name, received_ns=asked, decoded_ns=monotonic_ns())):
                return
            asked = monotonic_ns()
        self._count_bad(self.source.bad - bad)

    def _count_bad(self, count: int) -> None:
        if count:
            self.counts.receive(count)
            self.counts.spoil("undecodable", count)

    def _keep(self, frame: Frame) -> bool:
        """Hand a frame on when there is room; False where nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._frames) < READ_AHEAD)
            if self._stopped:
                return False
            self.counts.receive()
            self._frames.append(frame)
        self._arrived()
        return True

    def take(self) -> Frame | None:
        with self._changed:
            frame = self._frames.popleft() if self._frames else None
            self._changed.notify()
        return frame

    @property
    def is_over(self) -> bool:
        with self._changed:
            return self._ended and not self._frames

    def status(self) -> SourceStatus:
        state = SourceState.ENDED if self.is_over else SourceState.STREAMING
        return SourceStatus(
            self.name, self.name, False, state, monotonic() - self._started_s, connects=1, counts=self.counts.now()
        )

    def stop(self, within_s: float) -> None:
        with self._changed:
            self._stopped = True
            self.counts.drop("stopped", len(self._frames))
            self._frames.clear()
            self._changed.notify()
        if self._reader.ident is not None:
            self._reader.join(within_s)  # a native read cannot be interrupted; the thread ends with the process
        if not self._reader.is_alive():
            self.source.close()
