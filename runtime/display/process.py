"""The window's process as the stream sees it: started, given frames, and ended, whatever it does meanwhile."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from fcn_edge.errors import OutputError, UsageError, printable
from runtime.display import wire
from runtime.display.wire import Pixels

# With this process's own search path, lest the child finds other packages.
CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from runtime.display.child import main
main(*map(int, sys.argv[2:]))
"""

# Qt's windows may stay blank where memory cannot be shared with the X server, as from within a container. (By the name
# that older and that newer versions ask for.)
PLAIN_PIXELS = {"QT_X11_NO_MITSHM": "1", "QT_XCB_NO_MITSHM": "1"}

OPEN_WITHIN_S = 20.0  # libraries are loaded meanwhile, perhaps on a busy machine
SHOW_WITHIN_S = 10.0
LEAVE_WITHIN_S = 0.5  # then it is killed
KEPT_LINES = 20  # of what it printed last


class WindowProcess:
    """One window. `show` is called by one thread; `on_closed` by another, when the viewer has closed the window."""

    def __init__(
        self,
        order: Mapping[str, Any],
        on_closed: Callable[[], None] = lambda: None,
        *,
        open_within_s: float = OPEN_WITHIN_S,
        show_within_s: float = SHOW_WITHIN_S,
    ) -> None:
        """Raises UsageError where there is no window to be had."""
        self._on_closed, self._is_closing, self._show_within_s = on_closed, False, show_within_s
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = _start(theirs.fileno())
        self._watcher = threading.Thread(target=self._watch, name="window", daemon=True)
        self._watcher.start()
        try:
            self._socket.settimeout(open_within_s)
            wire.send(self._socket, order)
            wire.receive(self._socket)
        except (wire.Gone, TimeoutError) as error:
            # Libraries tell what was wrong, and then how to repair them.
            found = self._reason(0, open_within_s if isinstance(error, TimeoutError) else None)
            self.close()
            raise UsageError(f"wanted a window for display://, found: {found}; write a file such as out.mkv") from None

    def show(self, told: Mapping[str, Any], *pictures: Pixels) -> Mapping[str, Any] | None:
        """What the window answers, or None where the viewer has closed it; raises OutputError where it failed."""
        try:
            self._socket.settimeout(self._show_within_s)
            wire.send(self._socket, told, *pictures)
            return wire.receive(self._socket)[0]
        except TimeoutError:
            found = self._reason(-1, self._show_within_s)
        except wire.Gone:
            found = self._reason(-1, None)
            if self._process.poll() == 0:
                return None
        raise OutputError(f"display://: wanted a window, found: {found}; look after the screen, or leave it out")

    def close(self) -> None:
        """It leaves by itself when nobody talks to it any more, or is killed."""
        self._is_closing = True
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(LEAVE_WITHIN_S)
        self._process.kill()
        self._watcher.join(1)

    def _watch(self) -> None:
        assert self._process.stderr
        with self._process.stderr as output:
            self._lines.extend(printable(line.decode(errors="replace").strip()) for line in output)
        if self._process.wait() == 0 and not self._is_closing:
            self._on_closed()

    def _reason(self, line: int, waited_s: float | None) -> str:
        """Why it does not answer, by one of its last lines; `waited_s` None: it has ended."""
        if waited_s is not None:
            return f"no answer within {waited_s:.0f} s"
        self._watcher.join(1)  # which has all its lines then
        return self._lines[line] if self._lines else f"its end with exit code {self._process.poll()}"


def _start(socket_fd: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, json.dumps(sys.path), str(os.getpid()), str(socket_fd)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(socket_fd,),
        env={**PLAIN_PIXELS, **os.environ},
        start_new_session=True,  # Ctrl-C is for us alone
    )
