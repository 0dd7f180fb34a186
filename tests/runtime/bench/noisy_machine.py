"""A machine that others use too, with a clock of its own: drift, bursts, sessions that differ, alike neighbours."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from runtime.bench import spells


class NoisyMachine:
    """Its numbers are those of a virtual machine with two cores whose neighbours come and go."""

    def __init__(self, seed: int, *, session: float = 0.01, burst: float = 1.5) -> None:
        self.now_s = 0.0
        self._chance = random.Random(seed)
        self._session, self._burst = session, burst
        self._phase = self._chance.uniform(0, 2 * math.pi)
        self._is_burst = self._chance.random() < 1 / 9
        self._error = 0.0

    def patch(self, patch: pytest.MonkeyPatch) -> NoisyMachine:
        """What measures reads this clock."""
        patch.setattr(spells, "perf_counter", lambda: self.now_s)
        return self

    def opener(self, frame_ms: float) -> Callable[[], AbstractContextManager[Callable[[], object]]]:
        """A session's: each that is opened keeps a speed of its own, `session` apart."""

        @contextmanager
        def opened() -> Iterator[Callable[[], object]]:
            self.now_s += 0.5
            own_ms = frame_ms * math.exp(self._chance.gauss(0, self._session))
            yield lambda: self._frame(own_ms)

        return opened

    def _frame(self, frame_ms: float) -> None:
        chance = self._chance
        mean_s = 1.0 if self._is_burst else 8.0
        if chance.random() < frame_ms / 1e3 / mean_s:
            self._is_burst = not self._is_burst
        self._error = 0.6 * self._error + 0.8 * chance.gauss(0, 0.05)  # of a frame, beside its neighbour's
        slow = self._burst if self._is_burst else 1.0
        spike = chance.uniform(1.2, 4) if chance.random() < 0.02 else 1.0
        drift = 1 + 0.1 * math.sin(2 * math.pi * self.now_s / 60 + self._phase)
        self.now_s += frame_ms / 1e3 * slow * spike * drift * math.exp(self._error)
