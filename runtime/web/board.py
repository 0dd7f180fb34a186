"""The stream's status for whoever asks: made at most a few times a second, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from time import monotonic

from fcn_edge.files import json_text
from runtime.stream.status import Status
from runtime.web.faults import Faults
from runtime.web.metrics import exposition

FRESH_S = 0.25  # so long a status is the newest: many who ask cost no more than a few
WITHIN_S = 2.0


class NoStatus(Exception):
    """There is none, or it did not come in time."""


class StatusBoard:
    """Asked from one loop. The stream is asked in a thread, once for all who wait."""

    def __init__(
        self,
        status: Callable[[], Status] | None,
        web: Callable[[], Mapping[str, float]],
        threads: Executor,
        faults: Faults,
    ) -> None:
        self._status, self._web, self._threads, self._faults = status, web, threads, faults
        self._newest: Status | None = None
        self._made_at_s = 0.0
        self._text: str | None = None  # of the newest
        self._metrics: bytes | None = None
        self._asking: asyncio.Future[None] | None = None

    async def status(self) -> Status:
        """Raises NoStatus."""
        if self._newest is None or monotonic() - self._made_at_s > FRESH_S:
            await self._asked()
        if self._newest is None or monotonic() - self._made_at_s > WITHIN_S:
            raise NoStatus
        return self._newest

    async def _asked(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(self._ask())
        await asyncio.wait([self._asking], timeout=WITHIN_S)

    async def _ask(self) -> None:
        if self._status is None:
            return
        try:
            self._newest = await asyncio.get_running_loop().run_in_executor(self._threads, self._status)
            self._made_at_s, self._text, self._metrics = monotonic(), None, None
        except Exception as error:
            self._faults(error)

    async def text(self) -> str:
        """`Status.to_json()`."""
        status = await self.status()
        if self._text is None:
            self._text = json_text(status.to_json())
        return self._text

    async def metrics(self) -> bytes:
        status = await self.status()
        if self._metrics is None:
            self._metrics = exposition(status, self._web())
        return self._metrics
