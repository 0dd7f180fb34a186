"""A live page on a free port of this machine, and plain sockets that talk to it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from time import monotonic, sleep
from typing import Any

from runtime.stream.status import Status
from runtime.web.live_page import LivePageSink
from runtime.web.options import WebOptions
from tests.runtime.web.drawn_stream import DrawnStatus, drawn_context

SECONDS = 5.0  # for what should take milliseconds, on a machine that is shared


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Page:
    """An open page."""

    sink: LivePageSink
    port: int
    ages_ms: list[float]  # told by `on_wire`

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(
        self, path: str = "/healthz", method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """One request on a connection of its own; `Host` is right unless given."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in {"Host": self.host, **(headers or {})}.items():
                connection.putheader(name, value)
            connection.endheaders(body or None)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def connect(self, first: bytes = b"") -> socket.socket:
        """A raw connection, with little room for what it does not read."""
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
        opened.settimeout(SECONDS)
        try:
            opened.connect(("127.0.0.1", self.port))
            opened.sendall(first)
        except OSError:
            opened.close()
            raise
        return opened

    def upgrade(self, query: str = "") -> bytes:
        """The words that ask for /live."""
        return (
            f"GET /live{query} HTTP/1.1\r\nHost: {self.host}\r\nOrigin: http://{self.host}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ).encode()

    def facts(self) -> Mapping[str, Any]:
        return self.sink.facts()


@contextmanager
def serving(
    options: WebOptions | None = None,
    status: Callable[[], Status] | None = None,
    uri: str = "http://127.0.0.1:0",
) -> Iterator[Page]:
    ages: list[float] = []
    sink = LivePageSink(uri, replace(drawn_context(status or DrawnStatus()), on_wire=ages.append), options)
    try:
        yield Page(sink, int(sink.url.rsplit(":", 1)[1].strip("/")), ages)
    finally:
        sink.close()


def received(opened: socket.socket, until: Callable[[bytes], bool]) -> bytes:
    """What comes on a raw connection until it is enough, or it ends; fails when it takes too long."""
    found, ends_at = b"", monotonic() + SECONDS
    while not until(found) and monotonic() < ends_at:
        try:
            part = opened.recv(1 << 16)
        except ConnectionResetError:
            break
        if not part:
            break
        found += part
    return found


def told_status(opened: socket.socket) -> int:
    """Of the next answer on a raw connection; 0 if it ends without one."""
    line = received(opened, lambda found: b"\r\n" in found)
    return int(line[9:12]) if line.startswith(b"HTTP/1.") else 0


def wait_until(is_so: Callable[[], bool], within_s: float = SECONDS) -> None:
    ends_at = monotonic() + within_s
    while not is_so():
        assert monotonic() < ends_at, "it did not come to be in time"
        sleep(0.01)


def parted(message: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """A binary message of /live: header, JPEG, PNG."""
    at = 4 + int.from_bytes(message[:4], "little")
    header = json.loads(message[4:at])
    end = at + header["jpeg_bytes"]
    assert len(message) == end + header["png_bytes"]
    return header, message[at:end], message[end:]
