"""Who watches: each viewer has room for one frame, and the newest takes it. A slow one is late, never a burden."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from runtime.web.encoding import Form, Shown


class Viewer:
    """One browser, or one program that reads /stream. `offer` is called from any thread, the rest from its loop."""

    def __init__(self, form: Form, source: str | None, loop: asyncio.AbstractEventLoop) -> None:
        self.form, self.source = form, source  # None: whatever comes
        self.sent = self.dropped = 0
        self._loop, self._lock, self._wake = loop, threading.Lock(), asyncio.Event()
        self._frame: Shown | None = None  # the one that waits
        self._newest: Shown | None = None  # offered so far
        self._text: str | None = None

    @property
    def is_waiting(self) -> bool:
        """The next frame will be sent at once."""
        return self._frame is None

    def watches(self, source: str) -> bool:
        return self.source is None or self.source == source

    def offer(self, frame: Shown) -> None:
        """The newest frame; one that still waits is dropped for it."""
        with self._lock:
            if frame is self._newest:  # it came while this viewer was greeted with it
                return
            replaced, self._frame, self._newest = self._frame, frame, frame
            self.dropped += replaced is not None
        if replaced is None:  # or the wake-ups of a loop that is busy would pile up
            with suppress(RuntimeError):  # the loop has ended, and its viewers with it
                self._loop.call_soon_threadsafe(self._wake.set)

    def tell(self, text: str | None) -> None:
        """The newest state of things, where it is known."""
        self._text = text
        self._wake.set()

    async def take(self, within_s: float) -> tuple[Shown | None, str | None]:
        """What came since the last time: waits until something did, or the time is over."""
        clock = self._loop.call_later(within_s, self._wake.set)  # wait_for may lose a cancellation before Python 3.12
        try:
            await self._wake.wait()
        finally:
            clock.cancel()
        self._wake.clear()
        with self._lock:
            frame, self._frame = self._frame, None
        text, self._text = self._text, None
        return frame, text


class Audience:
    """All viewers: who comes and goes does so in the loop, and any thread may look."""

    def __init__(self, most: int) -> None:
        self.most, self.refused = most, 0
        self._viewers: tuple[Viewer, ...] = ()  # replaced, never changed: readers need no lock
        self._sent = self._dropped = 0  # of those who left

    def __iter__(self) -> Iterator[Viewer]:
        return iter(self._viewers)

    @property
    def is_full(self) -> bool:
        return len(self._viewers) >= self.most

    @contextmanager
    def seat(self, viewer: Viewer) -> Iterator[None]:
        self._viewers = (*self._viewers, viewer)
        try:
            yield
        finally:
            self._viewers = tuple(other for other in self._viewers if other is not viewer)
            self._sent += viewer.sent
            self._dropped += viewer.dropped

    def watching(self, source: str) -> list[Viewer]:
        return [viewer for viewer in self._viewers if viewer.watches(source)]

    def figures(self) -> Mapping[str, int]:
        """How many watch, and what became of the frames that all were offered."""
        viewers = self._viewers
        return {
            "viewers": len(viewers),
            "most_viewers": self.most,
            "frames_sent": self._sent + sum(viewer.sent for viewer in viewers),
            "frames_dropped": self._dropped + sum(viewer.dropped for viewer in viewers),
            "viewers_refused": self.refused,
        }
