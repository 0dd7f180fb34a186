"""Ctrl-C and SIGTERM as a wish that a loop looks at between two steps; the second one ends the process at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from fcn_edge.progress import say


class Interrupt:
    """`wished` turns true with the first signal while the block of `listening` runs. Main thread only."""

    def __init__(self, step: str) -> None:
        self.step, self.wished = step, False  # what is finished first, in words: "frame"
        self.on_wish: Callable[[], None] = lambda: None  # runs in a signal handler, so it must take no lock

    @contextmanager
    def listening(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._wish) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wish(self, number: int, frame: FrameType | None) -> None:
        if self.wished:
            say("interrupted")
            os._exit(128 + number)
        self.wished = True
        self.on_wish()
        say(f"stopping after this {self.step}; once more to stop at once")
