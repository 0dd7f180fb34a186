"""runtime.doctor.isolated: a question that crashes, hangs or prints is no harm to who asks."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from runtime.doctor.isolated import Answer, Question, ask

SOON_S = 60.0  # a busy machine starts a process slowly


def well() -> dict[str, Any]:
    print("noise of a library")
    os.write(1, b"and of one in C")
    return {"version": "1.2", "path": sys.path}


def raising() -> dict[str, Any]:
    raise RuntimeError("no such device\nand more")


def crashing() -> dict[str, Any]:
    ctypes.string_at(0)
    return {}


def leaving() -> dict[str, Any]:
    os._exit(7)


def exiting() -> dict[str, Any]:
    sys.exit(3)


def meet(folder: str, mine: str, other: str) -> dict[str, Any]:
    (Path(folder) / mine).touch()
    while not (Path(folder) / other).exists():
        time.sleep(0.01)
    return {}


def hanging() -> dict[str, Any]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({SOON_S})"])  # holds the answer's pipe open
    Path(os.environ["HANGING"]).write_text(str(os.getpid()))
    time.sleep(SOON_S)
    return {}


def test_an_answer_comes_back_whatever_the_library_prints() -> None:
    answer = ask({"it": Question(well)}, SOON_S)["it"]
    assert (answer.failure, answer.told["version"]) == ("", "1.2")


def test_the_child_finds_the_packages_that_we_find(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    assert ask({"it": Question(well)}, SOON_S)["it"].told["path"] == sys.path


@pytest.mark.parametrize(
    ("question", "failure"),
    [
        (raising, "no such device"),
        (crashing, "a crash (SIGSEGV)"),
        (leaving, "an end with exit code 7"),
        (exiting, "an end with exit code 3"),
    ],
)
def test_a_failure_is_told(question: Any, failure: str) -> None:
    assert ask({"it": Question(question)}, SOON_S) == {"it": Answer(failure=failure)}


def test_a_question_that_hangs_is_ended_with_all_that_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HANGING", str(tmp_path / "pid"))
    started = time.monotonic()
    answers = ask({"hangs": Question(hanging), "well": Question(raising)}, 5.0)
    assert answers["hangs"].failure == "no answer within 5 s" and time.monotonic() - started < SOON_S / 2
    assert answers["well"].failure == "no such device"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_questions_are_asked_at_once(tmp_path: Path) -> None:
    """Each waits for the other, which it could not if they were asked one after the other."""
    questions = {mine: Question(meet, (str(tmp_path), mine, other)) for mine, other in (("one", "two"), ("two", "one"))}
    assert {answer.failure for answer in ask(questions, SOON_S).values()} == {""}
