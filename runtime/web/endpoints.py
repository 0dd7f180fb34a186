"""What is answered at which address. Every answer is made here or refused by the guard; nothing else is there."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from runtime.web.answers import binary, plain, policy_for
from runtime.web.board import NoStatus, StatusBoard
from runtime.web.connection import Connection
from runtime.web.delivery import Delivery
from runtime.web.encoding import Form
from runtime.web.faults import Faults
from runtime.web.guard import Guard
from runtime.web.page_files import PageFile
from runtime.web.screen import Screen
from runtime.web.viewers import Audience, Viewer

WEBSOCKET_KEY = re.compile(r"[0-9A-Za-z+/]{22}==")  # 16 bytes (RFC 6455, 4.1)

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Refused(Exception):
    """An answer that ends what was asked."""

    def __init__(self, answer: web.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


class Endpoints:
    """aiohttp's handler of all requests."""

    def __init__(
        self,
        page: Mapping[str, PageFile],
        guard: Guard,
        board: StatusBoard,
        screen: Screen,
        audience: Audience,
        delivery: Delivery,
        faults: Faults,
    ) -> None:
        self._page, self._guard, self._board, self._screen = page, guard, board, screen
        self._audience, self._delivery, self._faults = audience, delivery, faults
        self._answers: dict[str, Answer] = {
            **dict.fromkeys(page, self._file),
            "/live": self._live,
            "/stream": self._stream,
            "/snapshot": self._snapshot,
            "/state": self._state,
            "/healthz": self._healthz,
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        connection = request.protocol
        assert isinstance(connection, Connection)
        connection.request_begins()
        try:
            answer = await self._answer(request)
        finally:
            connection.request_ends()
        if answer.status >= 400:  # among them what came with a body, which stays unread
            answer.force_close()
        return answer

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            refusal = await self._guard(request)
            return refusal or await self._answers.get(request.rel_url.raw_path, _nothing)(request)
        except Refused as refused:
            return refused.answer
        except NoStatus:
            return plain(503, "The stream does not tell its state.", headers={"Retry-After": "1"})
        except web.HTTPException as error:  # of a handshake
            return plain(error.status, "This is no WebSocket of version 13.")
        except ConnectionError:
            raise
        except Exception as error:
            self._faults(error)
            return plain(500, "Our fault.")

    async def _file(self, request: web.BaseRequest) -> web.Response:
        file = self._page[request.rel_url.raw_path]
        policy = {"Content-Security-Policy": policy_for(request.headers["Host"])}
        return binary(file.body, file.content_type, headers=policy)

    async def _healthz(self, request: web.BaseRequest) -> web.Response:
        return plain(200, "ok")

    async def _readyz(self, request: web.BaseRequest) -> web.Response:
        if (await self._board.status()).is_ready:
            return plain(200, "ready")
        return plain(503, "No frame was segmented in the last ten seconds.", headers={"Retry-After": "1"})

    async def _state(self, request: web.BaseRequest) -> web.Response:
        return binary((await self._board.text()).encode(), "application/json")

    async def _metrics(self, request: web.BaseRequest) -> web.Response:
        return binary(await self._board.metrics(), CONTENT_TYPE_LATEST)

    async def _snapshot(self, request: web.BaseRequest) -> web.Response:
        frame = self._screen.newest(await self._source(request))
        if frame is None:
            return plain(503, "No frame was segmented yet.", headers={"Retry-After": "1"})
        told = {"X-Frame-Index": str(frame.segmented.frame.index), "X-Frame-Age-Ms": f"{frame.age_ms:.0f}"}
        return binary(await self._screen.encoded(frame, Form.STREAM), "image/jpeg", headers=told)

    async def _live(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "GET" or request.headers.get("Upgrade", "").lower() != "websocket":
            return plain(426, "Wanted a WebSocket.", headers={"Upgrade": "websocket"})
        if not _is_handshake(request):
            return plain(400, "This is no WebSocket of version 13.")
        viewer = await self._viewer(request, Form.LIVE)
        with self._audience.seat(viewer):
            return await self._delivery.live(request, viewer)

    async def _stream(self, request: web.BaseRequest) -> web.StreamResponse:
        viewer = await self._viewer(request, Form.STREAM)
        if request.method == "HEAD":
            return self._delivery.stream_head()
        with self._audience.seat(viewer):
            return await self._delivery.stream(request, viewer)

    async def _viewer(self, request: web.BaseRequest, form: Form) -> Viewer:
        """Not seated yet; raises Refused where none of its seats is left, or none of its sources."""
        source = await self._source(request)
        if self._audience.is_full:
            self._audience.refused += 1
            raise Refused(plain(503, "As many as may watch do already.", headers={"Retry-After": "5"}))
        return Viewer(form, source, asyncio.get_running_loop())

    async def _source(self, request: web.BaseRequest) -> str | None:
        """Which source is meant; None where there is only one. Raises Refused for an unknown one."""
        wanted, names = request.query.get("source"), await self._names()
        if wanted and wanted not in names:
            raise Refused(plain(404, "No such source: /state tells their names."))
        return None if len(names) <= 1 else wanted or names[0]

    async def _names(self) -> list[str]:
        """In the order in which they were asked for."""
        try:
            told = [source.name for source in (await self._board.status()).sources]
        except NoStatus:
            told = []
        return told or self._screen.sources


def _is_handshake(request: web.BaseRequest) -> bool:
    """What aiohttp stumbles over or logs does not come to it: a key of other letters, protocols that nobody speaks."""
    key, headers = request.headers.get("Sec-WebSocket-Key", ""), request.headers
    return bool(WEBSOCKET_KEY.fullmatch(key)) and "Sec-WebSocket-Protocol" not in headers


async def _nothing(request: web.BaseRequest) -> web.Response:
    return plain(404, "Nothing is here.")
