"""Cameras for tests: on a reader with a fault, started, and always stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from runtime.capture.camera import Camera
from runtime.capture.limits import Limits
from runtime.sources.address import read_address
from runtime.stream.counts import FrameCounts
from runtime.stream.status import SourceState
from tests.runtime.capture.readers import FACTORY

PATIENCE_S = 15.0  # what is promised, and more than any of these needs
# A busy machine may hold a child up for a second, which is no fault of its camera.
SHORT = Limits(connect_s=2.0, pause_s=0.5, stall_s=1.5, frozen_s=1.0, retry_most_s=1.0, grace_s=0.3)


@contextmanager
def watched(
    uri: str,
    limits: Limits | None = None,
    retry: bool = True,
    arrived: Callable[[], None] = lambda: None,
    factory: str = FACTORY,
) -> Iterator[Camera]:
    """A camera that reads `http://camera/KIND?...` by a fake reader (see `readers.py`)."""
    camera = Camera("front", read_address(uri), FrameCounts(), arrived, limits, retry, factory)
    camera.start()
    try:
        yield camera
    finally:
        camera.stop(5.0)


def until(condition: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Returns as soon as it is so."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, "it never came so"
        time.sleep(0.005)


def states(
    camera: Camera, enough: Callable[[list[SourceState]], bool], within_s: float = PATIENCE_S
) -> list[SourceState]:
    """Which states it goes through, until that is enough. Short ones may be missed."""
    seen = [camera.status().state]

    def look() -> bool:
        if (now := camera.status().state) is not seen[-1]:
            seen.append(now)
        return enough(seen)

    until(look, within_s)
    return seen


def code(camera: Camera) -> str | None:
    reason = camera.status().reason
    return reason.code if reason else None


def conserves(camera: Camera, taken: int) -> bool:
    """Every frame that was received is spoiled, dropped or taken."""
    counts = camera.counts.now()
    return counts.received == taken + sum(counts.bad.values()) + sum(counts.dropped.values())


STRANGERS: set[int] = set()  # what other tests of this process have started, for longer than one of ours takes


def children(of: int | None = None) -> set[int]:
    """Processes that a process (this one) has started, and theirs in turn, without zombies and `STRANGERS`."""
    parents = {pid: parent for pid, parent, state in _processes() if state != "Z"}
    family = {of or os.getpid()}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return family - {of or os.getpid()} - STRANGERS


def is_running(pid: int) -> bool:
    return any(found == pid and state != "Z" for found, _, state in _processes())


def _processes() -> Iterator[tuple[int, int, str]]:
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                state, parent = file.read().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        yield int(name), int(parent), state
