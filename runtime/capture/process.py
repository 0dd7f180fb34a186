"""One capture child as its parent sees it: started, listened to, and ended, whatever it does meanwhile."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from threading import Lock
from time import monotonic

from fcn_edge.credentials import HIDDEN, redact, split_credentials
from fcn_edge.errors import printable
from runtime.capture import messages
from runtime.capture.frame_ring import FrameRing, create_ring_file
from runtime.capture.limits import Limits
from runtime.capture.messages import Freed, Message, Order
from runtime.sources.address import Address

# With this process's own search path, lest the child finds other packages. The last argument is for readers of `ps`.
CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from runtime.capture.child import main
main(*map(int, sys.argv[2:5]))
"""

KEPT_BYTES, KEPT_LINES = 8192, 20  # of what the child and its libraries printed last
MOST_AT_ONCE = 32  # messages, before the time is looked at again
KILLED_WITHIN_S = 1.0  # one that waits for a broken driver outlives even SIGKILL, for as long as the driver likes


class CaptureProcess:
    """A child that reads `address`. One thread listens and ends; any may `free`.

    Raises OSError where the system has no process, memory or descriptor left.
    """

    def __init__(self, address: Address, limits: Limits, factory: str) -> None:
        self._address, self._printed, self._lock = address, b"", Lock()
        with ExitStack() as failing, ExitStack() as given:
            ring_fd = create_ring_file()
            given.callback(os.close, ring_fd)
            self._socket, theirs = messages.socket_pair()
            failing.callback(self._socket.close)
            given.callback(theirs.close)
            self.ring = FrameRing(ring_fd)
            messages.send(self._socket, Order(address.uri, factory, asdict(limits)))
            self._process = _start(address, theirs.fileno(), ring_fd)
            failing.pop_all()
        assert self._process.stderr
        self._output_fd = self._process.stderr.fileno()
        os.set_blocking(self._output_fd, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._socket, selectors.EVENT_READ)
        self._selector.register(self._output_fd, selectors.EVENT_READ)

    def listen(self, within_s: float) -> Iterator[Message]:
        """What it says now, or as soon as it says something; nothing, where it is silent for so long.

        Raises `messages.Gone` after the last word of one that is gone, and ValueError for nonsense.
        """
        for key, _ in self._selector.select(max(within_s, 0.0)):
            if key.fd == self._output_fd:
                self._read_output()
                continue
            for _ in range(MOST_AT_ONCE):
                if not (message := messages.receive(self._socket)):
                    break
                yield message

    def free(self, slot: int) -> None:
        """The slot is the child's again; nothing, where there is no child any more."""
        with self._lock, suppress(messages.Gone):
            messages.send(self._socket, Freed(slot))

    def end(self, grace_s: float) -> Sequence[Message]:
        """It may close its camera within `grace_s`, then it is killed, with all that it has started.

        What it had still to say is returned.
        """
        said: list[Message] = []
        self._signal(signal.SIGTERM)
        self._listen_out(said, grace_s)
        self._signal(signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(KILLED_WITHIN_S)
        self._listen_out(said, 0.0)
        self._read_output()
        self._close()
        return said

    def _listen_out(self, said: list[Message], within_s: float) -> None:
        deadline_s = monotonic() + within_s
        with suppress(messages.Gone, ValueError):
            while True:
                for message in self.listen(deadline_s - monotonic()):
                    said.append(message)
                if monotonic() >= deadline_s:
                    return

    def _signal(self, number: signal.Signals) -> None:
        """To the child and what it has started. It was not waited for yet, so its number is no other's."""
        with suppress(OSError):
            os.killpg(self._process.pid, number)

    def _close(self) -> None:
        self._selector.close()
        with self._lock:
            self._socket.close()
        assert self._process.stderr
        self._process.stderr.close()

    @property
    def manner(self) -> str:
        """Of an ended child: how it ended."""
        code = self._process.returncode
        if code is None:
            return "does not end even when it is killed"
        with suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
        return f"ended with exit code {code}"

    @property
    def last_lines(self) -> Sequence[str]:
        """What it printed last, without credentials."""
        text = self._printed.decode("utf-8", "replace")
        lines = text.splitlines()[len(self._printed) >= KEPT_BYTES :]  # the first is cut, and may hide an address
        return [printable(_without_credentials(line, self._address)) for line in lines[-KEPT_LINES:]]

    def _read_output(self) -> None:
        with suppress(BlockingIOError):
            printed = os.read(self._output_fd, 65536)
            self._printed = (self._printed + printed)[-KEPT_BYTES:]
            if not printed:  # closed: it would be ready for ever
                with suppress(KeyError):
                    self._selector.unregister(self._output_fd)


def _start(address: Address, socket_fd: int, ring_fd: int) -> subprocess.Popen[bytes]:
    numbers = [str(number) for number in (os.getpid(), socket_fd, ring_fd)]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(sys.path), *numbers, address.shown],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        bufsize=0,
        pass_fds=(socket_fd, ring_fd),
        start_new_session=True,  # what the child has started ends with it, and Ctrl-C is for us alone
    )


def _without_credentials(line: str, address: Address) -> str:
    """Libraries repeat addresses, and sometimes a password alone."""
    line = redact(line)
    known = split_credentials(address.uri)[1] if "://" in address.uri else None
    return line.replace(known.password, HIDDEN) if known and known.password else line
