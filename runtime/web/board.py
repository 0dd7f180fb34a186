"""The stream's status for whoever asks: made at most a few times a second, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from time import monotonic

from fcn_edge.files import json_text
from runtime.stream.status import Status
from runtime.web.metrics import exposition

FRESH_S = 0.25  # as long is a status the newest: many who ask cost no more than a few


class NoStatus(Exception):
    """There is none, or it did not come in time."""


class StatusBoard:
    """Asked from one loop; the stream is asked in a thread, with a time limit."""

    def __init__(
        self,
        status: Callable[[], Status] | None,
        facts: Callable[[], Mapping[str, float]],
        threads: Executor,
        within_s: float = 2.0,
    ) -> None:
        self._status, self._facts, self._threads, self._within_s = status, facts, threads, within_s
        self._asking = asyncio.Lock()
        self._newest: Status | None = None
        self._made_at_s = 0.0

    async def status(self) -> Status:
        """Raises NoStatus."""
        async with self._asking:
            if self._newest is None or monotonic() - self._made_at_s > FRESH_S:
                self._newest = await self._ask()
                self._made_at_s = monotonic()
            return self._newest

    async def _ask(self) -> Status:
        if self._status is None:
            raise NoStatus
        asked = asyncio.get_running_loop().run_in_executor(self._threads, self._status)
        try:
            return await asyncio.wait_for(asked, self._within_s)
        except asyncio.TimeoutError:
            raise NoStatus from None

    async def text(self) -> str:
        """`Status.to_json()`."""
        return json_text((await self.status()).to_json())

    async def metrics(self) -> bytes:
        return exposition(await self.status(), self._facts())
