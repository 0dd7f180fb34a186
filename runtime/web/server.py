"""A thread with an event loop that answers at one socket. It starts and ends here, whatever goes on inside."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from aiohttp import web

from runtime.web.connection import Doorway, House
from runtime.web.endpoints import Endpoints
from runtime.web.faults import Faults
from runtime.web.options import WebOptions

START_S = 5.0
CLOSE_S = 1.0

# Endpoints and what goes on beside them, made in the loop that they belong to.
Make = Callable[[], tuple[Endpoints, Coroutine[Any, Any, None]]]


class Server:
    """Owns `listening` from now on."""

    def __init__(self, listening: socket.socket, make: Make, options: WebOptions, faults: Faults) -> None:
        self._listening, self._make, self._options, self._faults = listening, make, options, faults
        self.doorway = Doorway(options.max_connections)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="live page", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._ready.wait(START_S)

    def close(self) -> None:
        """Cuts all connections. Returns within a second, in any state."""
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(CLOSE_S)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:
            self._faults(error)
        finally:
            self._listening.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._loop.set_exception_handler(self._on_fault)
        endpoints, beside = self._make()
        server = web.Server(endpoints, handler_cancellation=True)
        house = House(server, self.doorway, self._options, self._loop, self._faults.log())
        listener = await self._loop.create_server(house.connection, sock=self._listening)
        beside_task = asyncio.ensure_future(beside)
        self._ready.set()
        await self._stop.wait()
        beside_task.cancel()
        listener.close()
        for connection in list(self.doorway.inside):
            connection.abort()

    def _on_fault(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._faults(context.get("exception") or RuntimeError(context["message"]))
