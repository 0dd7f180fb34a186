"""How many frames of a source came, and what became of each: none is ever lost without a cause."""

from __future__ import annotations

import threading
from collections import Counter

from runtime.stream.status import Counts


class FrameCounts:
    """Counted by whoever sees it happen, in any thread. A frame is received once and leaves once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._received = self._segmented = 0
        self._bad: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def receive(self, count: int = 1) -> None:
        with self._lock:
            self._received += count

    def segment(self) -> None:
        with self._lock:
            self._segmented += 1

    def spoil(self, why: str, count: int = 1) -> None:
        """They came and could not be used."""
        with self._lock:
            self._bad[why] += count

    def drop(self, cause: str, count: int = 1) -> None:
        """They were good, and newer ones were better."""
        with self._lock:
            self._dropped[cause] += count

    def now(self) -> Counts:
        with self._lock:
            left = self._segmented + self._bad.total() + self._dropped.total()
            return Counts(self._received, self._segmented, dict(self._bad), dict(self._dropped), self._received - left)
