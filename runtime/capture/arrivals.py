"""How many pictures a second a camera really gives, whatever it announces."""

from __future__ import annotations

import threading
from collections import deque

WINDOW_S = 10.0
MOST = 10_000  # moments kept: more than any camera gives in the window


class Arrivals:
    """Of the last ten seconds, or since the first picture, where that is less. Safe for several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._moments_s: deque[float] = deque(maxlen=MOST)
        self._since_s: float | None = None

    def add(self, count: int, now_s: float) -> None:
        with self._lock:
            self._since_s = now_s if self._since_s is None else self._since_s
            self._moments_s.extend([now_s] * count)

    def rate(self, now_s: float) -> float | None:
        """None until there is a second to judge by."""
        with self._lock:
            if self._since_s is None or now_s - self._since_s < 1.0:
                return None
            while self._moments_s and now_s - self._moments_s[0] > WINDOW_S:
                self._moments_s.popleft()
            return len(self._moments_s) / min(WINDOW_S, now_s - self._since_s)
