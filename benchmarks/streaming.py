"""A stream beside its measuring, in one process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fcn_edge.interrupt import Interrupt
from runtime.stream.stream import Stream


@contextmanager
def in_thread(stream: Stream) -> Iterator[None]:
    """It runs while the block does, and ends as by its user's wish."""
    interrupt = Interrupt("frame")
    thread = threading.Thread(target=stream.run, args=(interrupt,))
    thread.start()
    try:
        yield
    finally:
        interrupt.wished = True
        interrupt.on_wish()
        thread.join()
