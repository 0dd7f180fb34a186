"""What systemd is told of a service: ready, what it does, that it lives, that it stops (sd_notify(3)).

Outside of systemd nobody listens, and nothing is told.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic

from fcn_edge.errors import printable

STATUS_EVERY_S = 5.0
SEND_WITHIN_S = 1.0  # a service manager that does not read must not hold the stream up


class Service:
    """Tells one service manager, from one thread. `tick` is called about once a second and tells what is due."""

    def __init__(
        self, address: str | None = None, watchdog_s: float | None = None, clock: Callable[[], float] = monotonic
    ) -> None:
        """`address` is a path, or a name in Linux' abstract namespace after an @; None: nobody listens."""
        self.address, self.watchdog_s = address, watchdog_s
        self._clock = clock
        self._status_at_s = self._ping_at_s = clock()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Service:
        """As systemd set it for this process."""
        address = environment.get("NOTIFY_SOCKET", "")
        if not address.startswith(("/", "@")):
            return cls()
        return cls(address, _watchdog_s(environment))

    def ready(self) -> None:
        """The model is warm: start-up is over. A camera that is not there yet is no reason to wait."""
        self._tell("READY=1")

    def tick(self, status: str) -> None:
        """The status in words every five seconds, and a sign of life three times in what the watchdog allows.

        Whoever calls it is alive: do not, while something hangs that only a restart cures.
        """
        now = self._clock()
        if now >= self._status_at_s:
            self._status_at_s = now + STATUS_EVERY_S
            self._tell(f"STATUS={printable(' '.join(status.split()))}")
        if self.watchdog_s is not None and now >= self._ping_at_s:
            self._ping_at_s = now + self.watchdog_s / 3
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if self.address is None:
            return
        name = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to_systemd:
            to_systemd.settimeout(SEND_WITHIN_S)
            to_systemd.sendto(message.encode(), name)


def _watchdog_s(environment: Mapping[str, str]) -> float | None:
    """How long systemd waits for a sign of life; None where it does not, or waits for another process."""
    pid, microseconds = environment.get("WATCHDOG_PID"), environment.get("WATCHDOG_USEC", "")
    if pid not in (None, str(os.getpid())) or not microseconds.isdecimal() or int(microseconds) == 0:
        return None
    return int(microseconds) / 1e6
