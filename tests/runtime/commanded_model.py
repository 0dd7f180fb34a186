"""The command line with a model that does what a file says: `python -m tests.runtime.commanded_model FILE run ...`.

FILE holds a `Command` as JSON and may be changed at any time; where it is missing the model is as it is.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import runtime.run
from fcn_edge.__main__ import main
from fcn_edge.progress import say
from runtime.session_protocol import Session
from runtime.stream.watchdog import Heartbeat

OPENING = "the model opens"


@dataclass(frozen=True)
class Command:
    """What goes wrong with the model."""

    open_s: float = 0.0  # it takes so long to open
    delay_s: float = 0.0  # and so much longer for each frame
    fails: int = 0  # on so many frames, from when it was told
    hang_least_s: float = 10.0  # it is not said to hang before; read once

    def write(self, path: Path) -> None:
        part = path.with_suffix(".part")
        part.write_text(json.dumps(asdict(self)))
        part.rename(path)


def read_command(path: Path) -> Command:
    with suppress(FileNotFoundError):
        return Command(**json.loads(path.read_text()))
    return Command()


class CommandedSession:
    """A session that looks at its command before each frame."""

    def __init__(self, session: Session, path: Path) -> None:
        self._session, self._path = session, path
        self._command, self._failed = Command(), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def infer(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        command = read_command(self._path)
        if command != self._command:
            self._command, self._failed = command, 0
        if self._failed < command.fails:
            self._failed += 1
            raise RuntimeError("it was told to fail")
        work_that_was_told_to_take_long(command.delay_s)
        return self._session.infer(frame)

    def __enter__(self) -> CommandedSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()


def work_that_was_told_to_take_long(seconds: float) -> None:
    time.sleep(seconds)


def commanded(open_session: Callable[..., Session], path: Path) -> Callable[..., Session]:
    def opened(*words: Any, **serving: Any) -> Session:
        say(OPENING)
        work_that_was_told_to_take_long(read_command(path).open_s)
        return CommandedSession(open_session(*words, **serving), path)  # type: ignore[return-value]

    return opened


def install(path: Path) -> None:
    """Every model that this process opens obeys the file."""
    runtime.run.open_session = commanded(runtime.run.open_session, path)
    runtime.run.Heartbeat = partial(Heartbeat, least_s=read_command(path).hang_least_s, warm_up_beats=1)  # type: ignore[misc]


if __name__ == "__main__":
    install(Path(sys.argv[1]))
    sys.exit(main(sys.argv[2:]))
