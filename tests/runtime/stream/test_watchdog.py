"""watchdog: what counts as a hang, and, in processes of their own, how one that hangs ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.stream.watchdog import CHECKS_GAP_S, LAST_WORDS_S, Heartbeat, Watchdog

ROOT = Path(__file__).parent.parent.parent.parent


class Watched:
    """A watchdog whose clock ticks when a test says so, and that tells instead of ending the process."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self.now_s, self.told = 0.0, list[str]()
        self.watchdog = Watchdog(heartbeat, end=self.told.append, clock=lambda: self.now_s)

    def pass_by(self, seconds: int, step_s: float = 1.0) -> bool:
        """Whether a hang was seen by then, checking every `step_s`."""
        for _ in range(seconds):
            self.now_s += step_s
            self.watchdog.check()
        return bool(self.told)


def beaten(times: int = 1, **limits: float) -> Heartbeat:
    """One past its warm-up, whose beats took no time."""
    heartbeat = Heartbeat("infer", warm_up_beats=1, **limits)  # type: ignore[arg-type, unused-ignore]
    for _ in range(times):
        with heartbeat():
            pass
    return heartbeat


def test_work_that_goes_on_for_too_long_hangs() -> None:
    heartbeat = beaten()
    watched = Watched(heartbeat)
    with heartbeat():
        assert not watched.pass_by(11)  # the first check sees it begin
        assert watched.pass_by(1)
    assert watched.told[0].startswith("infer has hung for 11 s, wanted it done within 10 s; ")


def test_much_short_work_never_hangs() -> None:
    heartbeat = beaten()
    watched = Watched(heartbeat)
    for _ in range(30):
        with heartbeat():
            assert not watched.pass_by(1)


def test_no_work_is_no_hang() -> None:
    assert not Watched(beaten()).pass_by(1000)


def test_the_first_beats_may_take_long() -> None:
    heartbeat = Heartbeat("infer", warm_up_s=60, warm_up_beats=3)
    limits = []
    for _ in range(5):
        with heartbeat():
            limits.append(heartbeat.limit_s)
    assert limits == [60, 60, 60, 10, 10]


def test_a_slow_model_may_take_twenty_times_its_longest_so_far() -> None:
    heartbeat = beaten(least_s=0.001)
    with heartbeat():
        time.sleep(0.05)
    with heartbeat():
        assert 1.0 <= heartbeat.limit_s < 10
    for _ in range(200):  # from a hundred on one outlier counts no more
        with heartbeat():
            pass
    assert heartbeat.limit_s < 1.0


def test_what_the_first_beats_took_counts_for_none_of_the_later() -> None:
    heartbeat = Heartbeat("infer", least_s=0.001, warm_up_s=1, warm_up_beats=1)
    with heartbeat():
        time.sleep(0.05)
    with heartbeat():
        assert heartbeat.limit_s == 0.001


def test_a_beat_that_raises_is_over() -> None:
    heartbeat = beaten()
    with pytest.raises(RuntimeError), heartbeat():
        raise RuntimeError
    assert not heartbeat.is_busy and not Watched(heartbeat).pass_by(100)


def test_a_machine_that_slept_for_a_night_has_no_hang() -> None:
    heartbeat = beaten()
    watched = Watched(heartbeat)
    with heartbeat():
        watched.pass_by(2)
        watched.now_s += 8 * 3600
        assert not watched.pass_by(int(10 - CHECKS_GAP_S - 1))
        assert watched.pass_by(3)


# -- in a process -------------------------------------------------------------------------------------------------

HANGING = """
import threading, time
from runtime.stream.watchdog import Heartbeat, Watchdog, tell_stacks_of_crashes
tell_stacks_of_crashes()
heartbeat = Heartbeat("the model", least_s=0.2, warm_up_beats=0)
watchdog = Watchdog(heartbeat)
def work_that_hangs():
    with heartbeat():
        time.sleep(60)
threading.Thread(target=work_that_hangs).start()
while True:
    time.sleep(0.05)
    watchdog.check()
"""


def started(code: str, **options: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, cwd=ROOT, text=True, **{"stderr": subprocess.PIPE, **options})  # type: ignore[call-overload, no-any-return]


def test_a_hang_ends_the_process_with_75_and_shows_every_stack() -> None:
    process = started(HANGING)
    told = process.communicate(timeout=30)[1]
    assert process.returncode == 75
    assert "in work_that_hangs" in told and "in check" in told
    assert told.splitlines()[-1].startswith("the model has hung for 0 s")


def test_a_log_that_nobody_reads_does_not_keep_a_process_that_hangs() -> None:
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(writes, b"x" * 4096)
    os.set_blocking(writes, True)
    process = started(HANGING, stderr=writes)
    try:
        assert process.wait(timeout=LAST_WORDS_S + 20) == 75
    finally:
        process.kill()
        process.wait()
        os.close(reads)
        os.close(writes)


HOLDING = """
import ctypes, time
from runtime.stream.watchdog import tell_stacks_of_crashes
tell_stacks_of_crashes()
def work_in_native_code():
    print("now", flush=True)
    WORK
work_in_native_code()
"""


@pytest.fixture
def holding() -> Callable[[str, signal.Signals], tuple[int, str]]:
    """Sends a signal to a process at some work, kills it if that does not end it; its exit code and stderr."""

    def told(work: str, number: signal.Signals) -> tuple[int, str]:
        process = started(HOLDING.replace("WORK", work), stdout=subprocess.PIPE)
        assert process.stdout is not None and process.stdout.readline() == "now\n"
        process.send_signal(number)
        try:
            error = process.communicate(timeout=10 if number != signal.SIGUSR1 else 2)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            error = process.communicate(timeout=10)[1]
        return process.returncode, error

    return told


def test_the_abort_of_systemds_watchdog_shows_the_stacks_of_what_holds_the_interpreter(
    holding: Callable[[str, signal.Signals], tuple[int, str]],
) -> None:
    code, told = holding("ctypes.PyDLL(None).sleep(60)", signal.SIGABRT)
    assert code == -signal.SIGABRT
    assert "in work_in_native_code" in told


def test_the_stacks_are_shown_on_demand_and_the_process_goes_on(
    holding: Callable[[str, signal.Signals], tuple[int, str]],
) -> None:
    code, told = holding("time.sleep(60)", signal.SIGUSR1)
    assert code == -signal.SIGKILL, "it was ours to end"
    assert "in work_in_native_code" in told
