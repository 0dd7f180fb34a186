"""When to try a lost source again: at once, then ever more seldom, for ever, and never in step with other sources."""

from __future__ import annotations

import random
from collections.abc import Callable

STEPS_S = (0.0, 1.0, 2.0, 4.0, 8.0)  # from the start of an attempt to the start of the next; then the most
JITTER = 0.2  # cameras that were lost together come back at different moments


class Backoff:
    """Counted from the start of each attempt: one that took long has waited enough."""

    def __init__(self, most_s: float, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self.most_s, self._uniform = most_s, uniform
        self._failed = 0

    def next_start(self, started_s: float) -> float:
        """After a failed attempt that started then: when the next one may start."""
        step_s = STEPS_S[self._failed] if self._failed < len(STEPS_S) else self.most_s
        self._failed += 1
        return started_s + min(step_s, self.most_s / (1 + JITTER)) * self._uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        """It works: the next failure is the first again."""
        self._failed = 0
