"""progress.py: a log gets few lines, a terminal a bar, and standard output nothing."""

import math
import os
import pty
import re
import subprocess
import sys

import pytest

from fcn_edge import progress as module
from fcn_edge.progress import progress, say, tracked

ON_A_TERMINAL = """
import sys
from fcn_edge.progress import progress
with progress(sys.argv[1], 3) as step:
    for _ in range(3):
        step("loss [0.5]")
"""


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step is due a line."""
    monkeypatch.setattr(module, "LOG_EVERY_S", 0.0)


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """No step is due a line for its time."""
    monkeypatch.setattr(module, "LOG_EVERY_S", math.inf)


@pytest.mark.usefixtures("seldom")
def test_a_long_work_in_a_log_is_one_line_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading", 10_000) as step:
        for _ in range(10_000):
            step("fast")
    assert capsys.readouterr() == ("", "reading: 10000/10000 fast\n")


@pytest.mark.usefixtures("often")
def test_each_line_counts_the_steps_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading", 3) as step:
        for _ in range(3):
            step()
    assert capsys.readouterr().err == "reading: 1/3\nreading: 2/3\nreading: 3/3\n"


@pytest.mark.usefixtures("often")
def test_a_work_of_unknown_length_counts_without_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("segmenting", None) as step:
        step("25.0 fps")
        step("26.0 fps")
    assert capsys.readouterr().err == "segmenting: 1 25.0 fps\nsegmenting: 2 26.0 fps\n"


@pytest.mark.usefixtures("seldom")
def test_a_work_that_ends_early_does_not_claim_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("reading", 3) as step:
        step()
        step()
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("often")
def test_tracked_items_are_all_there_and_counted_when_done_with(capsys: pytest.CaptureFixture[str]) -> None:
    lines_before = []
    for item in tracked(iter("ab"), "reading", 2):
        lines_before.append((item, capsys.readouterr().err))
    assert lines_before == [("a", ""), ("b", "reading: 1/2\n")]
    assert capsys.readouterr().err == "reading: 2/2\n"


def test_news_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("saved best")
    assert capsys.readouterr() == ("", "saved best\n")


@pytest.mark.parametrize("title", ["reading", "scoring fcn[b].onnx", "scoring fcn[/b].onnx"])
def test_a_terminal_gets_a_bar_and_standard_output_nothing(title: str) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-c", ON_A_TERMINAL, title]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while block := os.read(ours, 4096):
            shown += block
    except OSError:
        pass  # Linux says so when the terminal's other end is closed
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())  # without colours and cursor moves
    assert (process.returncode, out) == (0, b"")
    for words in (title, "3/3", "loss [0.5]"):
        assert words in plain


def test_results_reach_standard_output_while_the_bar_is_drawn_on_a_terminal() -> None:
    """rich would otherwise draw them among the bar, and a file of results would stay empty."""
    script = (
        "from fcn_edge.progress import progress\nwith progress('work', 2) as step:\n    print('a result')\n    step()"
    )
    bar, terminal = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=terminal, text=True, timeout=60, check=False
        )
    finally:
        os.close(terminal)
        os.close(bar)
    assert (done.returncode, done.stdout) == (0, "a result\n")
