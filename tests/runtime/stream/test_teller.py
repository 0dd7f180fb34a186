"""teller: a log is told every change, now and then how it goes, and never floods; a terminal has one line."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.stream.log_lines import headline
from runtime.stream.status import SourceState, Status
from runtime.stream.teller import AT_ONCE, Log, telling
from tests.runtime.stream.statuses import FULL, NO_SIGNAL, REFUSED, sink, source, status

ROOT = Path(__file__).parent.parent.parent.parent

WELL = status(source(), sink())
STALLED = status(source(SourceState.STALLED, NO_SIGNAL), sink())
CONNECTING, BACKOFF = status(source(SourceState.CONNECTING)), status(source(SourceState.BACKOFF, REFUSED))


class Heard:
    """A log that is told a status a second, and when each line of it came."""

    def __init__(self) -> None:
        self.now_s, self.lines = 0, list[tuple[int, str]]()
        self.log = Log(lambda line: self.lines.append((self.now_s, line)), clock=lambda: float(self.now_s))

    def tell(self, now: Status, seconds: int = 1) -> None:
        for _ in range(seconds):
            self.log(now)
            self.now_s += 1

    @property
    def texts(self) -> list[str]:
        return [line for _, line in self.lines]


def test_while_all_is_well_a_log_gets_ever_fewer_lines_and_never_none() -> None:
    heard = Heard()
    heard.tell(WELL, seconds=3700)
    assert heard.lines[:2] == [(0, "gate: STREAMING"), (0, "stream: RUNNING")]
    assert [second for second, _ in heard.lines[2:]] == [10, 30, 70, 150, 310, 630, 1230, 1830, 2430, 3030, 3630]
    assert set(heard.texts[2:]) == {headline(WELL)}


def test_a_change_is_told_at_once_and_then_how_it_goes_on() -> None:
    heard = Heard()
    heard.tell(WELL, seconds=1000)
    heard.lines.clear()
    heard.tell(STALLED, seconds=15)
    assert heard.lines == [
        (1000, "gate: STREAMING -> STALLED: no frame for 5 s; check its cable"),
        (1010, headline(STALLED)),
    ]


def test_a_camera_that_is_away_for_a_day_is_told_once_and_now_and_then() -> None:
    heard = Heard()
    heard.tell(WELL, seconds=2)
    heard.tell(STALLED, seconds=5)
    heard.lines.clear()
    for _ in range(8640):
        heard.tell(CONNECTING, seconds=2)
        heard.tell(BACKOFF, seconds=8)
    changes = [line for line in heard.texts if line.startswith("gate: ")]
    assert changes == ["gate: STALLED -> CONNECTING", "gate: CONNECTING -> BACKOFF: connection refused; switch it on"]
    assert len(heard.lines) < 160
    heard.lines.clear()
    heard.tell(WELL)
    assert heard.texts == ["gate: BACKOFF -> STREAMING"]


def test_what_changes_all_the_time_is_counted_and_its_last_state_is_told() -> None:
    heard = Heard()
    for _ in range(180):
        heard.tell(WELL, seconds=10)
        heard.tell(STALLED, seconds=10)
    changes = [(second, line) for second, line in heard.lines if line.startswith("gate: ")]
    assert [second for second, _ in changes[: AT_ONCE + 1]] == [10 * n for n in range(AT_ONCE + 1)]
    later = changes[AT_ONCE + 4 :]
    assert len(later) < 3600 / 60 + 1 and all("changes since it was last told)" in line for _, line in later)
    heard.lines.clear()
    heard.tell(WELL, seconds=61)
    (last,) = [line for line in heard.texts if line.startswith("gate: ")]
    assert last.startswith(("gate: STALLED -> STREAMING", "gate: STREAMING"))


def test_one_that_changes_all_the_time_silences_no_other() -> None:
    heard = Heard()
    for _ in range(200):
        heard.tell(WELL)
        heard.tell(STALLED)
    heard.lines.clear()
    heard.tell(status(source(SourceState.STALLED, NO_SIGNAL), sink("failed", FULL)))
    assert "sink out.mkv: ok -> failed: no space left; make room" in heard.texts


def test_without_a_terminal_it_is_a_log_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    with telling() as tell:
        tell(STALLED)
    told = capfd.readouterr()
    assert told.out == ""
    assert told.err.splitlines() == ["gate: STALLED: no frame for 5 s; check its cable", "stream: RUNNING"]


ON_A_TERMINAL = """
from fcn_edge.progress import say
from runtime.stream.teller import telling
from tests.runtime.stream.test_teller import STALLED, WELL
with telling() as tell:
    tell(WELL)
    print("a result", flush=True)
    say("a word")
    tell(STALLED)
"""


def test_on_a_terminal_one_line_is_kept_up_to_date_below_what_is_said() -> None:
    controller, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "60"}
    code = [sys.executable, "-c", ON_A_TERMINAL]
    done = subprocess.run(
        code, stdout=subprocess.PIPE, stderr=terminal, cwd=ROOT, env=environment, timeout=60, check=True
    )
    os.close(terminal)
    shown = os.read(controller, 65536).decode()
    os.close(controller)
    assert done.stdout == b"a result\n"
    assert "RUNNING: 25.0 fps in, 24.8 out, age 31 ms" in shown and "a word\r\n" in shown
    assert "gate: STREAMING -> STALLED: no frame for 5 s; check its cable\r\n" in shown
    assert "\x1b[2K" in shown, "the line is wiped before it is drawn anew"
