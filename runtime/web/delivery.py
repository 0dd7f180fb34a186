"""How frames reach a viewer: over a WebSocket with the stream's state, or as one JPEG after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from runtime.web.answers import HEADERS
from runtime.web.board import NoStatus, StatusBoard
from runtime.web.encoding import Form, Shown
from runtime.web.faults import Faults
from runtime.web.options import WebOptions
from runtime.web.screen import Screen
from runtime.web.viewers import Audience, Viewer

STATE_EVERY_S = 1.0
HEARTBEAT_S = 20.0  # a viewer whose machine vanished gives its seat back, even where no frames come
REPEAT_S = 5.0  # a camera that is silent: the last JPEG again, which tells who has vanished
CLOSE_S = 1.0  # for the answer to a farewell
MOST_SAID_BYTES = 1024  # by a viewer, who has nothing to say

# A browser draws a part only when the next one's header has come, so that header is sent with the part before it.
BOUNDARY = "fcn-edge-frame"
NEXT_PART = f"\r\n--{BOUNDARY}\r\nContent-Type: image/jpeg\r\n\r\n".encode()
MULTIPART = {**HEADERS, "Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}"}


class Delivery:
    """Sends to viewers, each at its own pace. One that does not take a frame within `write_s` is cut off."""

    def __init__(
        self,
        screen: Screen,
        audience: Audience,
        board: StatusBoard,
        options: WebOptions,
        on_wire: Callable[[float], None],
        faults: Faults,
    ) -> None:
        self._screen, self._audience, self._board = screen, audience, board
        self._write_s, self._on_wire, self._faults = options.write_s, on_wire, faults

    async def tell_state(self) -> None:
        """To every page, once a second, for ever."""
        while True:
            await asyncio.sleep(STATE_EVERY_S)
            viewers = [viewer for viewer in self._audience if viewer.form is Form.LIVE]
            text = await self._state() if viewers else None
            for viewer in viewers if text else ():
                viewer.tell(text)

    async def _state(self) -> str | None:
        try:
            return await self._board.text()
        except NoStatus:
            return None

    async def live(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        """Until the viewer goes."""
        socket = web.WebSocketResponse(
            compress=False, max_msg_size=MOST_SAID_BYTES, heartbeat=HEARTBEAT_S, timeout=CLOSE_S
        )
        socket.headers.update(HEADERS)
        await socket.prepare(request)
        sending = asyncio.ensure_future(self._send_live(request, socket, viewer))
        try:
            await socket.receive()  # its farewell, for nothing else that it may say is wanted
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
        raise ConnectionResetError("the viewer has gone")

    async def _send_live(self, request: web.BaseRequest, socket: web.WebSocketResponse, viewer: Viewer) -> None:
        greeting = self._greet(viewer)
        try:
            viewer.tell(await self._state())
            while True:
                frame, text = await viewer.take(REPEAT_S)
                if text is not None:
                    await self._send(request, socket.send_str(text))
                if frame is not None:
                    await self._send(request, socket.send_bytes(await self._screen.encoded(frame, Form.LIVE)))
                    self._delivered(viewer, frame, greeting)
        except ConnectionError:
            _cut(request)
        except Exception as error:
            self._faults(error)
            _cut(request)

    def stream_head(self) -> web.Response:
        return web.Response(headers=MULTIPART)

    async def stream(self, request: web.BaseRequest, viewer: Viewer) -> web.StreamResponse:
        """Until the viewer goes."""
        response = web.StreamResponse(headers=MULTIPART)
        response.force_close()
        await response.prepare(request)
        try:
            await self._send(request, response.write(NEXT_PART.lstrip()))
            await self._send_stream(request, response, viewer)
        except ConnectionError:
            _cut(request)
        except Exception as error:
            self._faults(error)
            _cut(request)
        raise ConnectionResetError("the viewer has gone")

    async def _send_stream(self, request: web.BaseRequest, response: web.StreamResponse, viewer: Viewer) -> None:
        greeting, jpeg = self._greet(viewer), b""
        while True:
            frame, _ = await viewer.take(REPEAT_S)
            if frame is not None:
                jpeg = await self._screen.encoded(frame, Form.STREAM)
            if jpeg:
                await self._send(request, response.write(jpeg + NEXT_PART))
            if frame is not None:
                self._delivered(viewer, frame, greeting)

    def _greet(self, viewer: Viewer) -> Shown | None:
        """With the newest frame there is, however old: the page tells how old."""
        frame = self._screen.newest(viewer.source)
        if frame is not None:
            viewer.offer(frame)
        return frame

    async def _send(self, request: web.BaseRequest, sending: Awaitable[None]) -> None:
        """Until the kernel has every byte, or the viewer's time is over."""
        clock = asyncio.get_running_loop().call_later(self._write_s, _cut, request)
        try:
            await sending
            await request.writer.drain()
        finally:
            clock.cancel()
        if request.transport is None:
            raise ConnectionResetError("it was cut off, or went")

    def _delivered(self, viewer: Viewer, frame: Shown, greeting: Shown | None) -> None:
        viewer.sent += 1
        if frame is not greeting:  # which waited for a viewer to come: no age of a stream
            self._on_wire(frame.age_ms)


def _cut(request: web.BaseRequest) -> None:
    """At once: what waits to be sent to it is not wanted any more."""
    if request.transport is not None:
        request.transport.abort()
