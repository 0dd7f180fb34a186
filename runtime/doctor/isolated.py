"""Questions asked in processes of their own, all at once: a library that crashes or hangs has answered too."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from fcn_edge.errors import first_line

# With this process's own search path, lest the child finds other packages.
CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from runtime.doctor.isolated import tell
tell(*sys.argv[2:])
"""


@dataclass(frozen=True)
class Question:
    """A function of a module, whose answer JSON can hold."""

    function: Callable[..., dict[str, Any]]
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What was told, or why nothing was."""

    told: Mapping[str, Any] = field(default_factory=dict)
    failure: str = ""


def ask(questions: Mapping[str, Question], limit_s: float) -> dict[str, Answer]:
    """Every question's answer, `limit_s` seconds from now at the latest."""
    children: dict[str, subprocess.Popen[bytes]] = {}
    deadline = time.monotonic() + limit_s
    try:
        for name, question in questions.items():
            children[name] = _start(question)
        return {name: _answer(child, deadline, limit_s) for name, child in children.items()}
    finally:
        for child in children.values():
            _end(child)


def _start(question: Question) -> subprocess.Popen[bytes]:
    called = (question.function.__module__, question.function.__name__, *question.arguments)
    command = [sys.executable, "-c", CHILD, json.dumps(sys.path), *called]
    # A session of its own, so that what the child has started ends with it.
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _answer(child: subprocess.Popen[bytes], deadline: float, limit_s: float) -> Answer:
    try:
        output, _ = child.communicate(timeout=max(deadline - time.monotonic(), 0.01))
        return Answer(**json.loads(output))
    except subprocess.TimeoutExpired:
        return Answer(failure=f"no answer within {limit_s:.0f} s")
    except ValueError:  # no JSON, so it did not come to its end
        return Answer(failure=_end_of(child.returncode))


def _end_of(code: int) -> str:
    with suppress(ValueError):
        return f"a crash ({signal.Signals(-code).name})"
    return f"an end with exit code {code}"


def _end(child: subprocess.Popen[bytes]) -> None:
    """One that waits for a broken driver may outlive even this."""
    if child.poll() is None:  # else its number may be another's by now
        with suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
    if child.stdout:
        child.stdout.close()
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=1)


def tell(module: str, function: str, *arguments: str) -> None:
    """In the child: the answer as JSON, alone on standard output, whatever a library prints."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        told = {"told": getattr(import_module(module), function)(*arguments)}
    except Exception as error:
        told = {"failure": first_line(error)}
    json.dump(told, answer)
    answer.flush()
    os._exit(0)  # without the libraries' own endings, which may crash as well
