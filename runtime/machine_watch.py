"""Looks at the machine every two seconds, in a thread of its own: a driver that hangs must hold up nobody who asks."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from typing import Any

from runtime.gpu_state import nvml_gpu
from runtime.machine_state import MachineState, read_machine_state, throttled
from runtime.stream.status import Reason
from runtime.throttling import read_counters

EVERY_S = 2.0
LOOKS = 3  # that must agree: a clock that just rises to its work is not throttled


class MachineWatch:
    """`now` and `reason` tell of the last looks and never wait."""

    def __init__(self, root: Path = Path("/"), folder: Path = Path(), every_s: float = EVERY_S) -> None:
        """Reads files below `root`, and how much is free on the disk of `folder`."""
        self._root, self._folder, self._every_s = root, folder, every_s
        self._looks: deque[MachineState] = deque(maxlen=LOOKS)
        self._looked_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="machine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within_s: float = 0.5) -> None:
        """A look that hangs is left behind."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(within_s)

    def now(self) -> Mapping[str, Any]:
        """As `Status.machine` holds it, with `ago_s`, how old it is; {} before the first look."""
        looks = list(self._looks)
        return {**looks[-1].to_json(), "ago_s": round(monotonic() - self._looked_s, 1)} if looks else {}

    def reason(self) -> Reason | None:
        looks = list(self._looks)
        return throttled(looks) if len(looks) == LOOKS else None

    def _watch(self) -> None:
        before = read_counters(self._root)
        with nvml_gpu() as look:
            while not self._stop.is_set():
                now = read_counters(self._root)
                self._looks.append(read_machine_state(self._root, self._folder, look(), before, now))
                self._looked_s, before = monotonic(), now
                self._stop.wait(self._every_s)
