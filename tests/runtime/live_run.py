"""`fcn-edge run` as a process of its own: what it tells, and how long it takes to end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any

FCN_EDGE = (sys.executable, "-m", "fcn_edge")
ROOT = Path(__file__).parent.parent.parent
START_S = 60.0  # for a process to come up on a machine that is shared
PAGE = re.compile(r"live page: http://127\.0\.0\.1:(\d+)/")


class LiveRun:
    """`with LiveRun(LOG, SOURCE, SINK, ..., "--model", BUNDLE) as run:`; killed at the end, if it is still there."""

    def __init__(
        self,
        log: Path,
        *arguments: object,
        program: Sequence[str] = FCN_EDGE,
        environment: Mapping[str, str] | None = None,
        stdout: int = subprocess.DEVNULL,
    ) -> None:
        self.log, self._printed = log, log.open("wb")
        self.process = subprocess.Popen(
            [*program, "run", *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=self._printed,
        )

    def __enter__(self) -> LiveRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self._printed.close()

    @property
    def told(self) -> str:
        """On stderr so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def until(self, is_so: str | Callable[[], object], within_s: float = START_S) -> None:
        """Until it has told a word, or something is so; fails where it ends before."""
        look = (lambda: is_so in self.told) if isinstance(is_so, str) else is_so
        ends_s = time.monotonic() + within_s
        while not look():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.told}"
            assert time.monotonic() < ends_s, f"wanted {is_so} in {within_s:g} s, found:\n{self.told}"
            time.sleep(0.02)

    def end(self, number: signal.Signals = signal.SIGTERM, within_s: float = 30.0) -> tuple[int, float]:
        """Its exit code, and the seconds from the signal to its end."""
        began_s = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(within_s), time.monotonic() - began_s

    @property
    def port(self) -> int:
        """Of its live page, once that is there."""
        self.until(lambda: PAGE.search(self.told))
        found = PAGE.search(self.told)
        assert found
        return int(found[1])

    def state(self, within_s: float = 5.0) -> dict[str, Any]:
        """What its live page tells; raises OSError or ValueError where there is no answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=within_s)
        try:
            connection.request("GET", "/state", headers={"Connection": "close"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise ValueError(f"found {answer.status}")
            return dict(json.loads(answer.read()))
        finally:
            connection.close()


def ended_together(runs: Sequence[LiveRun], number: signal.Signals = signal.SIGTERM) -> list[tuple[int | None, float]]:
    """The exit code and seconds to the end of each of several that get a signal at once; waits no longer than 20 s."""
    began_s, ends = time.monotonic(), [float("inf")] * len(runs)
    for run in runs:
        run.process.send_signal(number)
    while float("inf") in ends and time.monotonic() < began_s + 20:
        for place, run in enumerate(runs):
            if run.process.poll() is not None:
                ends[place] = min(ends[place], time.monotonic() - began_s)
        time.sleep(0.02)
    return [(run.process.returncode, end) for run, end in zip(runs, ends, strict=True)]
