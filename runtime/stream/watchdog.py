"""Work that hangs and that only a new process gets out of: noticed, told with all stacks, ended with exit code 75.

A call into a driver that never returns can be neither interrupted nor waited for, and its thread is lost.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import NoReturn

from fcn_edge.errors import DeviceError
from runtime.stream.histogram import Histogram

LEAST_S = 10.0  # no work is said to hang before
TIMES_P99 = 20  # nor before this many times what it takes at its slowest
WARM_UP_BEATS, WARM_UP_S = 5, 120.0  # the first may compile, load and allocate

CHECKS_GAP_S = 2.0  # checks come each second; when one comes later, the process was stopped, or the machine asleep
LAST_WORDS_S = 5.0  # a log that nobody reads must not keep the process


class Heartbeat:
    """Around work that may hang: `with heartbeat(): ...`, in one thread. Any other may look at it."""

    def __init__(
        self, name: str, *, least_s: float = LEAST_S, warm_up_s: float = WARM_UP_S, warm_up_beats: int = WARM_UP_BEATS
    ) -> None:
        self.name, self.least_s, self.warm_up_s, self.warm_up_beats = name, least_s, warm_up_s, warm_up_beats
        self.begun = 0  # beats so far, the present one with them
        self.is_busy = False
        self._took = Histogram()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.begun += 1
        self.is_busy = True
        started = monotonic()
        try:
            yield
        finally:
            self.is_busy = False
            if self.begun > self.warm_up_beats:
                self._took.add(1e3 * (monotonic() - started))

    @property
    def limit_s(self) -> float:
        """What the present beat may take: 20 times the 99th percentile of those before, of few of them the longest."""
        if self.begun <= self.warm_up_beats:
            return max(self.least_s, self.warm_up_s)
        slowest_ms = self._took.percentile(99) or self._took.max_ms
        return max(self.least_s, 1e-3 * TIMES_P99 * slowest_ms)


@dataclass
class _Watch:
    """One heartbeat, as the watchdog saw it."""

    heartbeat: Heartbeat
    beat: int = 0  # the one that `waited_s` is of
    waited_s: float = 0.0

    def look(self, passed_s: float) -> None:
        heartbeat = self.heartbeat
        if heartbeat.is_busy and heartbeat.begun == self.beat:
            self.waited_s += passed_s
        else:
            self.beat, self.waited_s = heartbeat.begun, 0.0

    @property
    def hangs(self) -> bool:
        return self.waited_s > self.heartbeat.limit_s


def end_process(message: str) -> NoReturn:
    """All stacks and then `message` on stderr, and the process ends with 75, whatever its threads do."""
    threading.Timer(LAST_WORDS_S, os._exit, (DeviceError.exit_code,)).start()
    print(f"{_stacks()}{message}", file=sys.__stderr__, flush=True)
    os._exit(DeviceError.exit_code)


def _stacks() -> str:
    """Of all threads. By way of memory: faulthandler, writing to a reader that is stuck, would let no thread run."""
    with open(os.memfd_create("stacks"), "w+", encoding="utf-8", errors="replace") as memory:
        faulthandler.dump_traceback(file=memory, all_threads=True)
        memory.seek(0)
        return memory.read()


class Watchdog:
    """`check` once a second in the main thread. Only what a restart cures belongs here: no camera, no sink."""

    def __init__(
        self,
        *heartbeats: Heartbeat,
        end: Callable[[str], object] = end_process,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._watches = [_Watch(heartbeat) for heartbeat in heartbeats]
        self._end, self._clock = end, clock
        self._checked_s = clock()

    def check(self) -> None:
        """Does not come back when something hangs.

        Counts the time that it sees pass, not the time since a beat began: a process that was stopped (Ctrl-Z), or
        whose machine slept, hangs no more than one that runs.
        """
        now = self._clock()
        passed_s, self._checked_s = min(now - self._checked_s, CHECKS_GAP_S), now
        for watch in self._watches:
            watch.look(passed_s)
            if watch.hangs:
                self._end(_last_words(watch))


def _last_words(watch: _Watch) -> str:
    heartbeat = watch.heartbeat
    return (
        f"{heartbeat.name} has hung for {watch.waited_s:.0f} s, wanted it done within {heartbeat.limit_s:.0f} s; the "
        f"stacks above show where, ending with {DeviceError.exit_code} so that a new process is started"
    )


def tell_stacks_of_crashes() -> None:
    """From now on a crash in native code, and systemd's abort, leave all stacks on stderr; SIGUSR1 shows them at once.

    At the start of a process that shall run for long.
    """
    stderr = sys.__stderr__ or 2
    faulthandler.enable(file=stderr, all_threads=True)
    if hasattr(faulthandler, "register"):  # not on Windows
        faulthandler.register(signal.SIGUSR1, file=stderr, all_threads=True, chain=False)
