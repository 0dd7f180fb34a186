"""Looks at the machine while something else happens, in a thread of its own: power often, all else once a second."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, process_time
from typing import Any

from runtime.bench.power import PowerLook, look_at_power
from runtime.machine_state import MachineState, read_machine_state
from runtime.throttling import Counters, read_counters

POWER_EVERY_S = 0.25  # rarer than a sensor's own mean, so seldom that the looks cost nothing
STATE_EVERY = 4  # of these
LAST_LOOK_S = 2.0  # it may take so long; a driver that hangs is left behind


class Watch:
    """`with Watch(root, gpu) as watch: ...`; its lists hold what was seen, the beginning and the end included."""

    def __init__(self, root: Path, gpu: Callable[[], Mapping[str, Any]]) -> None:
        """Reads files below `root`; `gpu` is a look by NVML."""
        self._root, self._gpu = root, gpu
        self.states: list[MachineState] = []
        self.power: list[PowerLook] = []
        self.gpu_bytes: list[int] = []  # of its memory, taken by whomever
        self.others_cores: float | None = None  # how many cores other processes kept busy
        self._stop, self._has_looked = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._began = read_counters(self._root)
        self._began_s, self._began_own_s = monotonic(), process_time()
        self._thread.start()
        return self

    def wait_for_a_look(self) -> None:
        """At everything; a driver that hangs is waited for no longer than LAST_LOOK_S."""
        self._has_looked.wait(LAST_LOOK_S)

    def last(self) -> dict[str, Any]:
        """The last look as JSON."""
        return self.states[-1].to_json() if self.states else {}

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.others_cores = self._others_cores(read_counters(self._root))
        self._thread.join(LAST_LOOK_S)

    def _run(self) -> None:
        before, number = self._began, 0
        while not self._stop.is_set():
            before = self._look(before, with_state=number % STATE_EVERY == 0)
            number += 1
            self._has_looked.set()
            self._stop.wait(POWER_EVERY_S)
        self._look(before, with_state=True)

    def _look(self, before: Counters, *, with_state: bool) -> Counters:
        gpu = self._gpu()
        self.power.append(look_at_power(self._root, gpu, monotonic()))
        if gpu.get("memory_used_bytes") is not None:
            self.gpu_bytes.append(gpu["memory_used_bytes"])
        if not with_state:
            return before
        now = read_counters(self._root)
        self.states.append(read_machine_state(self._root, Path(), gpu, before, now))
        return now

    def _others_cores(self, now: Counters) -> float | None:
        """None where Linux counts more processors than are ours: a container sees all of its host's."""
        seconds, own_s = monotonic() - self._began_s, process_time() - self._began_own_s
        before, after = self._began.ticks, now.ticks
        if before is None or after is None or seconds <= 0:
            return None
        per_second = os.sysconf("SC_CLK_TCK") * seconds
        if (after.total - before.total) / per_second > 1.5 + len(os.sched_getaffinity(0)):
            return None
        return round(max(0.0, (after.busy - before.busy) / per_second - own_s / seconds), 2)
