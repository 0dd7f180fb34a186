"""Whose frame is next: every source in its turn, so that a fast one never starves a slow one."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from time import monotonic

from runtime.sources.frame import Frame
from runtime.stream.feed import Feed

LOOK_AGAIN_S = 0.25  # a lost wake-up may cost no more than this


class Turns:
    """Takes one frame after another from several feeds. `most_fps` is how often a live source gets its turn at most."""

    def __init__(self, most_fps: float | None = None) -> None:
        self._feeds: Sequence[Feed] = ()
        self._pause_s = 1 / most_fps if most_fps else 0.0
        self._due_s: dict[str, float] = {}
        self._first = 0  # the feed that is asked first
        self._news = threading.Condition()
        self._has_news = self._stopped = False

    def begin(self, feeds: Sequence[Feed]) -> None:
        self._feeds, self._due_s = feeds, {feed.name: 0.0 for feed in feeds}

    def arrived(self) -> None:
        """Some feed has news."""
        with self._news:
            self._has_news = True
            self._news.notify()

    def stop(self) -> None:
        """Whoever waits for a frame gets none."""
        self._stopped = True
        self.arrived()

    def next(self) -> tuple[Feed, Frame] | None:
        """Wait for the next frame; None when no frame will come any more."""
        while not self._stopped:
            for place in range(len(self._feeds)):
                feed = self._feeds[(self._first + place) % len(self._feeds)]
                frame = self._take(feed)
                if frame is not None:
                    self._first = (self._first + place + 1) % len(self._feeds)
                    return feed, frame
            if all(feed.is_over for feed in self._feeds):
                return None
            self._wait()
        return None

    def _take(self, feed: Feed) -> Frame | None:
        now = monotonic()
        if self._pause_s and now < self._due_s[feed.name]:
            return None
        frame = feed.take()
        if frame is not None:
            self._due_s[feed.name] = max(self._due_s[feed.name], now - self._pause_s) + self._pause_s
        return frame

    def _wait(self) -> None:
        due = [at - monotonic() for at in self._due_s.values() if at > monotonic()]
        with self._news:
            self._news.wait_for(lambda: self._has_news, min([LOOK_AGAIN_S, *due]))
            self._has_news = False
