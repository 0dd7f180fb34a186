"""TensorBoard's log is written by a thread of its own; what it could not write is the training's to tell."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_log_thread() -> Iterator[None]:
    """While the block runs, a thread that cannot write prints no traceback: the writer's next call raises its error."""
    before = threading.excepthook

    def told(failure: threading.ExceptHookArgs) -> None:
        if not isinstance(failure.exc_value, OSError):
            before(failure)

    threading.excepthook = told
    try:
        yield
    finally:
        for thread in threading.enumerate():
            if getattr(thread, "exception", None) is not None:  # tensorboard's, which keeps it before it raises it
                thread.join()
        threading.excepthook = before
