"""Ends a process that is still being set up: there is nothing yet that must be ended in order."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fcn_edge.progress import say


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """While the block runs, SIGINT and SIGTERM end the process, with 0. Main thread only; both must have a handler.

    A handler of Python's runs when native code returns, and a model may take minutes to open. What C writes into a
    wake-up descriptor another thread reads at once.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    listener = threading.Thread(target=_listen, args=(ours,), name="early end", daemon=True)
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    listener.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        theirs.close()  # which ends the listener
        listener.join()
        ours.close()


def _listen(signals: socket.socket) -> None:
    while came := signals.recv(1):
        if came[0] in (signal.SIGINT, signal.SIGTERM):
            say("stopped before the first frame")
            os._exit(0)
