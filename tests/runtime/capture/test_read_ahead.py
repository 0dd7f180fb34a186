"""runtime.capture.read_ahead: nothing grows old unseen while the decoder is busy, and what is left out is counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from runtime.capture.limits import Limits
from runtime.capture.read_ahead import MOST, Arrived, ReadAhead
from runtime.capture.reader import Picture, Spoiled, open_reader
from runtime.sources.address import Address, read_address
from runtime.sources.clock_code import read_clock
from tests.runtime.cameras.http_camera import HttpCamera
from tests.runtime.capture.watching import SHORT, conserves, until, watched

PATIENCE_S = 10.0


class Script:
    """Arrivals by number, as many as a test allows so far; every `step`th is a start."""

    def __init__(self, step: int = 1, age_s: float = 0.0) -> None:
        self.step, self.age_s = step, age_s
        self.allowed, self.arrived = threading.Semaphore(0), 0
        self.error: BaseException | None = None

    def allow(self, count: int) -> None:
        self.allowed.release(count)

    def __iter__(self) -> Iterator[Arrived[int]]:
        while self.allowed.acquire(timeout=PATIENCE_S):
            if self.error:
                raise self.error
            received_ns = time.monotonic_ns() - int(self.age_s * 1e9)
            index, self.arrived = self.arrived, self.arrived + 1
            yield Arrived(index, received_ns, index % self.step == 0)


def waiting(script: Script, count: int, patience_s: float = 0.0) -> ReadAhead[int]:
    """So many have arrived, and none was taken."""
    ahead = ReadAhead(iter(script), patience_s)
    script.allow(count)
    until(lambda: script.arrived == count)
    time.sleep(0.05)  # the last one is on its way into the queue
    return ahead


def test_a_reader_in_time_gets_everything() -> None:
    script = Script()
    ahead = ReadAhead(iter(script))
    arriving, got = iter(ahead), []
    for _ in range(5):
        script.allow(1)
        got.append(next(arriving).content)
    assert (got, ahead.take_skipped()) == ([0, 1, 2, 3, 4], 0)


def test_of_those_that_wait_only_the_newest_is_given() -> None:
    ahead = waiting(Script(), 8)
    assert next(iter(ahead)).content == 7
    assert (ahead.take_skipped(), ahead.take_skipped()) == (7, 0)


def test_what_needs_those_before_it_is_given_from_the_newest_start() -> None:
    ahead = waiting(Script(step=5), 8)
    arriving = iter(ahead)
    assert [next(arriving).content for _ in range(3)] == [5, 6, 7]
    assert ahead.take_skipped() == 5


def test_without_a_later_start_everything_is_given() -> None:
    arriving = iter(waiting(Script(step=100), 4))
    assert [next(arriving).content for _ in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize(("age_s", "first"), [(0.0, 0), (60.0, 7)])
def test_only_what_has_waited_too_long_is_left_out(age_s: float, first: int) -> None:
    assert next(iter(waiting(Script(age_s=age_s), 8, patience_s=30.0))).content == first


def test_a_fault_is_told_after_what_came_before_it() -> None:
    script = Script(step=100)
    ahead = waiting(script, 2)
    script.error = RuntimeError("lost")
    script.allow(1)
    arriving = iter(ahead)
    assert [next(arriving).content, next(arriving).content] == [0, 1]
    with pytest.raises(RuntimeError, match="lost"):
        next(arriving)


def test_memory_stays_bounded_and_it_can_still_be_stopped() -> None:
    script = Script(step=10 * MOST)
    ahead = ReadAhead(iter(script))
    script.allow(MOST + 100)
    until(lambda: script.arrived > MOST)
    time.sleep(0.05)
    assert script.arrived == MOST + 1
    assert ahead.stop(PATIENCE_S)


def test_a_silent_source_is_told_not_to_have_stopped() -> None:
    script = Script()
    ahead = ReadAhead(iter(script))
    assert not ahead.stop(0.05)
    script.allow(1)
    assert ahead.stop(PATIENCE_S)


def test_a_slow_decoder_never_sees_old_pictures() -> None:
    with HttpCamera(rate=100) as server:
        reader = open_reader(read_address(server.uri), Limits())
        ages_ms, skipped = [], 0
        for picture, _ in zip(reader, range(15), strict=False):
            assert isinstance(picture, Picture)
            skipped += picture.skipped
            moment_ns = read_clock(picture.image)
            assert moment_ns is not None
            ages_ms.append((picture.decoded_ns - moment_ns) / 1e6)
            time.sleep(0.1)
        reader.close()
    assert skipped > 50
    assert sorted(ages_ms)[len(ages_ms) // 2] < 500


class Skipping:
    """Five pictures, before each of which two others came, and a spoiled one."""

    rate: float | None = None
    finite = True

    def __iter__(self) -> Iterator[Picture | Spoiled]:
        for _ in range(5):
            now_ns = time.monotonic_ns()
            yield Picture(np.zeros((4, 6, 3), np.uint8), now_ns, now_ns, skipped=2)
        yield Spoiled("truncated")

    def close(self) -> None:
        pass


def open_skipping(address: Address, limits: Limits) -> Skipping:
    return Skipping()


def test_what_was_left_out_is_counted_as_received_and_dropped() -> None:
    with watched("http://camera/", SHORT, factory=f"{__name__}:open_skipping") as camera:
        taken = 0

        def all_came() -> bool:
            nonlocal taken
            taken += camera.take() is not None
            return camera.is_over

        until(all_came)
        counts = camera.counts.now()
        assert counts.received == 5 * 3 + 1
        assert conserves(camera, taken)
