"""Contestants whose frames take as long as they are told to, by the real clock or by a noisy machine's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.bench import spells
from runtime.bench.contestants import Contestant
from runtime.session import FakeSession
from tests.runtime.bench.noisy_machine import NoisyMachine

SIZE_HW = (8, 12)
NUMBERS = np.random.default_rng(0).random(10_000)
FRAME = np.zeros((*SIZE_HW, 3), np.uint8)


@dataclass(frozen=True)
class Busy(Contestant):
    """Does a fixed amount of work for a frame, as a model does: `work` of 40 takes some milliseconds."""

    work: int = 40

    def open(self) -> FakeSession:
        return FakeSession(self._mask, STREET_LABELS, SIZE_HW)

    def open_again(self) -> FakeSession:
        return self.open()

    def settled(self, session: object) -> Busy:
        return self

    def _mask(self, frame: np.ndarray) -> np.ndarray:
        for _ in range(self.work):
            np.sort(NUMBERS)
        return frame[..., 0] * np.uint8(0)


@dataclass(frozen=True)
class OnNoisyMachine(Contestant):
    """Takes `frame_ms` of a noisy machine's time."""

    machine: NoisyMachine | None = None
    frame_ms: float = 10.0

    def opener(self, frame: np.ndarray) -> Callable[[], AbstractContextManager[Callable[[], object]]]:
        assert self.machine
        return self.machine.opener(self.frame_ms)


def by_the_processors_clock(patch: pytest.MonkeyPatch) -> None:
    """Only what this process computes takes time: whoever else uses the machine does not."""
    patch.setattr(spells, "perf_counter", time.process_time)


def by_the_work_done(patch: pytest.MonkeyPatch) -> None:
    """A number sorted takes ten nanoseconds, whatever the machine does meanwhile: for what is measured at two times."""
    done, lock = [0], threading.Lock()

    def counted(sort: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        def sorted_(numbers: np.ndarray, *arguments: object) -> np.ndarray:
            with lock:
                done[0] += numbers.size
            return sort(numbers, *arguments)

        return sorted_

    for name in ("sort", "argsort"):  # a contestant's work, and the yardstick's
        patch.setattr(np, name, counted(getattr(np, name)))
    patch.setattr(spells, "perf_counter", lambda: 1e-8 * done[0])


def busy(name: str, work: int) -> Busy:
    return Busy(name, Path(name), work=work)
