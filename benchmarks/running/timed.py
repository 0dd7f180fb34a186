"""One command with a time limit: how it ended, how long it took, and the last that it said."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).resolve().parents[2]
RAN, FAILED, CUT_OFF, SKIPPED = "ran", "failed", "cut off", "skipped"


@dataclass(frozen=True)
class Outcome:
    """What became of a command, or why it was not begun."""

    status: str
    minutes: float = 0.0
    why: str = ""  # where it did not run to its end

    @property
    def is_bad(self) -> bool:
        return self.status in (FAILED, CUT_OFF)

    def __str__(self) -> str:
        took = f" {self.minutes:.1f} minutes" if self.status != SKIPPED else ""
        return f"{self.status}{took}{': ' if self.why else ''}{self.why}"


def timed(command: Sequence[str], log: Path, limit_s: float) -> Outcome:
    """Run it from the repository's root, what it prints into `log`; it and its children end with the limit."""
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began_s = monotonic()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, env=environment, cwd=ROOT, start_new_session=True
        )
        try:
            code: int | None = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
    minutes = (monotonic() - began_s) / 60
    if code is None:
        return Outcome(CUT_OFF, minutes, f"it took longer than {limit_s / 60:.1f} minutes; see {log}")
    return (
        Outcome(FAILED, minutes, f"exit code {code}, {_last_line(log)}; see {log}") if code else Outcome(RAN, minutes)
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """With its session, also where the user interrupts; what has ended already is left alone."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1][:120] if lines else "without a word"
