"""Connecting anew for months leaves nothing behind: descriptors, threads and memory stay as they are."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Callable

import pytest

from runtime.capture.limits import Limits
from tests.runtime.capture.footprint import footprint, grown
from tests.runtime.capture.watching import children, until, watched

# As fast as children start. 600 of them take minutes: benchmarks/reconnects.py.
AT_ONCE = Limits(retry_most_s=0.001, connect_s=20)
MOST_BYTES = 4_000_000  # what an allocator may keep; a ring that was left would be a descriptor and a mapping, too


def connect(times: int) -> None:
    """One camera that is lost again and again, and then stopped."""
    with watched("http://camera/steady?count=5&rate=500&size=360x480", AT_ONCE) as camera:
        until(lambda: camera.take() is None and camera.status().connects >= times, 60)


def test_connecting_anew_leaves_nothing() -> None:
    connect(5)
    before = footprint()
    connect(20)
    assert not grown(before, footprint(), MOST_BYTES)
    assert not children()


def test_cameras_that_are_stopped_leave_nothing() -> None:
    def run() -> None:
        with watched("http://camera/steady?size=360x480") as camera:
            until(camera.take)

    run()
    before = footprint()
    for _ in range(8):
        run()
    assert not grown(before, footprint(), MOST_BYTES)
    assert not children()


def mapped(count: int) -> mmap.mmap:
    """Memory that no allocator had in stock."""
    memory = mmap.mmap(-1, count)
    memory.write(b"1" * count)
    return memory


@pytest.mark.parametrize(
    ("leak", "named"),
    [
        (lambda kept: kept.append(open(os.devnull)), "descriptors"),
        (lambda kept: kept.append(mapped(8_000_000)), "pss_bytes"),
    ],
)
def test_a_leak_is_found(leak: Callable[[list[object]], None], named: str) -> None:
    kept: list[object] = []
    before = footprint()
    leak(kept)
    assert [found.split(":")[0] for found in grown(before, footprint(), MOST_BYTES)] == [named]
    for opened in kept:
        getattr(opened, "close", lambda: None)()


def test_a_thread_that_stays_is_found() -> None:
    leave, before = threading.Event(), footprint()
    threading.Thread(target=leave.wait, args=(60,)).start()
    found = grown(before, footprint(), MOST_BYTES)
    leave.set()
    assert any(words.startswith("threads") for words in found)
