"""Connections: how many may be open, and how long each may take to ask. Not what is asked.

aiohttp waits for a request as long as its sender likes, so the clock is kept here. When all places are taken, whoever
has waited longest without asking anything makes room: those who open connections only to hold them cannot lock out a
viewer, who asks at once.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from runtime.web.answers import plain
from runtime.web.options import WebOptions

# aiohttp's own limits: of a line, a header and their number; no time for bodies, which are refused unread.
PROTOCOL: dict[str, Any] = {"max_line_size": 8190, "max_field_size": 8190, "lingering_time": 0, "access_log": None}
MOST_HEAD_BYTES = 1 << 15  # of a request and what was sent with it
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class Doorway:
    """All open connections."""

    def __init__(self, most: int) -> None:
        self.most, self.refused = most, 0
        self.inside: set[Connection] = set()
        self._asking: dict[Connection, None] = {}  # those without a request now, longest first

    def figures(self) -> dict[str, int]:
        return {"connections": len(self.inside), "connections_refused": self.refused}

    def enter(self, connection: Connection) -> bool:
        if len(self.inside) >= self.most and not self._make_room():
            self.refused += 1
            return False
        self.inside.add(connection)
        return True

    def _make_room(self) -> bool:
        longest = next(iter(self._asking), None)
        if longest is None:
            return False
        self.refused += 1
        self.leave(longest)
        longest.abort()
        return True

    def leave(self, connection: Connection) -> None:
        self.inside.discard(connection)
        self._asking.pop(connection, None)

    def is_asking(self, connection: Connection) -> None:
        self._asking.pop(connection, None)
        self._asking[connection] = None

    def is_answered(self, connection: Connection) -> None:
        self._asking.pop(connection, None)


@dataclass(frozen=True)
class House:
    """What a connection belongs to."""

    server: web.Server
    doorway: Doorway
    options: WebOptions
    loop: asyncio.AbstractEventLoop
    log: logging.Logger

    def connection(self) -> Connection:
        return Connection(self)


class Connection(web.RequestHandler):
    """aiohttp's, with a clock, a place in the doorway, and buffers so small that a slow viewer holds few frames."""

    def __init__(self, house: House) -> None:
        limits = {"keepalive_timeout": house.options.idle_s, **PROTOCOL}
        super().__init__(house.server, loop=house.loop, logger=house.log, **limits)
        self._house, self._doorway = house, house.doorway
        self._transport: asyncio.Transport | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._entered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._entered = self._doorway.enter(self)
        if not self._entered:
            transport.abort()
            return
        transport.set_write_buffer_limits(high=0)  # so that drain() waits until the kernel has every byte
        self._await_request(self._house.options.header_s)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_clock()
        self._doorway.leave(self)
        if self._entered:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._clock is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES and self._transport is not None:
                self._transport.write(TOO_LARGE)
                self._transport.close()
                return
        super().data_received(data)

    def request_begins(self) -> None:
        """It is whole: from now on the answer's own limits hold."""
        self._stop_clock()
        self._doorway.is_answered(self)

    def request_ends(self) -> None:
        self._await_request(self._house.options.idle_s)

    def abort(self) -> None:
        """Close at once, whatever waits to be sent."""
        if self._transport is not None:
            self._transport.abort()

    def _await_request(self, within_s: float) -> None:
        self._stop_clock()
        if self not in self._doorway.inside:
            return
        self._head_bytes = 0
        self._clock = self._house.loop.call_later(within_s, self.abort)
        self._doorway.is_asking(self)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP: answered without its own words, and not logged, for anybody can send it."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("an answer had begun")
        answer = plain(status, "This is no request." if status == 400 else "Our fault.")
        answer.force_close()
        return answer
