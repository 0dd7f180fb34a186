"""People and programs at a live page: some read, some never do, some send what is no request."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress

PATIENCE_S = 5.0
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


def request(path: str, port: int, *more: str) -> bytes:
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Origin: http://127.0.0.1:{port}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def watch(path: str, port: int) -> bytes:
    """`/live` or `/stream`, asked for as it must be."""
    if not path.startswith("/live"):
        return request(path, port)
    return request(
        path,
        port,
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {KEY}",
    )


class Viewer:
    """One connection that begins with these words, and may read what comes."""

    def __init__(self, port: int, words: bytes, *, reads: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        if reads:
            threading.Thread(target=self._read, daemon=True).start()
        with suppress(OSError):
            self._socket.sendall(words)

    def _read(self) -> None:
        with suppress(OSError):
            while self._socket.recv(1 << 16):
                pass

    def leave(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _words(port: int, chance: random.Random, source: str) -> list[tuple[bytes, bool]]:
    """What visitors begin with, and whether they read what comes."""
    live, stream = watch(f"/live?source={source}", port), watch(f"/stream?source={source}", port)
    return [
        *((words, reads) for words in (live, stream) for reads in (True, False)),
        (request("/metrics", port), True),
        (request(f"/snapshot?source={source}", port), True),
        (request("/state", port)[:-3], True),  # and never ends it
        (chance.randbytes(chance.randint(1, 5000)), True),
        (live + chance.randbytes(500), True),
    ]


def visit(port: int, chance: random.Random, source: str) -> Viewer | None:
    """Somebody comes; nobody, where there is no room."""
    words, reads = chance.choice(_words(port, chance, source))
    with suppress(OSError):
        return Viewer(port, words, reads=reads)
    return None
