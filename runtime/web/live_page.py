"""The live page as a sink: `http://HOST:PORT`. What is shown, and to whom, its neighbours say."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fcn_edge.errors import UsageError, first_line
from fcn_edge.progress import say

try:
    import aiohttp  # noqa: F401
    import prometheus_client  # noqa: F401
except ImportError as error:
    raise UsageError(
        f"wanted aiohttp and prometheus-client for the live page, found: {first_line(error)}; "
        "pip install 'fcn-edge[web]' brings them"
    ) from None

from runtime.sinks.sink import NONE, Segmented, SinkBase, SinkContext, Times
from runtime.web.address import ListenAddress, listen, read_listen_address, url_of
from runtime.web.board import StatusBoard
from runtime.web.delivery import Delivery
from runtime.web.encoding import Encoder
from runtime.web.endpoints import Endpoints
from runtime.web.faults import Faults
from runtime.web.guard import Guard
from runtime.web.options import WebOptions
from runtime.web.page_files import read_page
from runtime.web.screen import Screen
from runtime.web.server import Server
from runtime.web.token_file import Token, token_of
from runtime.web.viewers import Audience

THREADS = 2  # for what the loop must not wait for: a snapshot's drawing, the stream's status


class LivePageSink(SinkBase):
    """Serves from its own thread until it is closed.

    Raises UsageError for an address that cannot be had, OutputError where the token cannot be kept.
    """

    keeps = 1  # the newest

    def __init__(self, uri: str, context: SinkContext, options: WebOptions | None = None) -> None:
        self._context, self._options = context, options or WebOptions()
        self._address = read_listen_address(uri)
        self._token = token_of(self._options, is_local=self._address.is_local)
        self._page, listening = read_page(), listen(self._address)
        self.url = url_of(self._address, listening)
        self._faults, self._audience = Faults(), Audience(self._options.max_viewers)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="live page")
        self.encoder = Encoder(context, self._options)
        self._screen = Screen(self.encoder, self._audience, self._threads)
        self._server = Server(listening, self._endpoints, self._options, self._faults)
        self._server.start()
        say(f"live page: {_invitation(self.url, self._token, self._address)}", is_secret=True)

    def write(self, segmented: Segmented) -> Times:
        """Draws and encodes while somebody watches. A fault of the page never ends the stream."""
        try:
            return self._screen.show(segmented)
        except Exception as error:
            self._faults(error)
            return NONE

    def facts(self) -> Mapping[str, Any]:
        return {"url": self.url, **self._figures()}

    def close(self) -> None:
        self._server.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _figures(self) -> Mapping[str, int]:
        return {**self._audience.figures(), **self._server.doorway.figures(), "faults": self._faults.count}

    def _endpoints(self) -> tuple[Endpoints, Coroutine[Any, Any, None]]:
        """In the server's loop."""
        context, options = self._context, self._options
        guard = Guard(
            self._address, options.allowed_hosts, self._token.text if self._token else None, options.wrong_token_s
        )
        board = StatusBoard(context.status, self._figures, self._threads, self._faults)
        delivery = Delivery(self._screen, self._audience, board, options, context.on_wire, self._faults)
        endpoints = Endpoints(self._page, guard, board, self._screen, self._audience, delivery, self._faults)
        return endpoints, delivery.tell_state()


def _invitation(url: str, token: Token | None, address: ListenAddress) -> str:
    if token is None:
        return url if address.is_local else f"{url} (without a token: anybody in this network may watch)"
    if token.is_new:
        return f"{url}?token={token.text} (told this once; the token is kept in {token.path})"
    return f"{url}?token=TOKEN (the token is in {token.path})" if token.path else f"{url}?token=TOKEN (it was given)"
