"""What there is to see: the newest frame of each source, drawn and encoded only while somebody watches."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor

from runtime.latency import Stopwatch
from runtime.sinks.sink import Segmented, Times
from runtime.web.encoding import Encoder, Form, Shown
from runtime.web.viewers import Audience


class Screen:
    """Written by the sink's thread, read in the server's loop."""

    def __init__(self, encoder: Encoder, audience: Audience, threads: Executor) -> None:
        self._encoder, self._audience, self._threads = encoder, audience, threads
        self._newest: dict[str, Shown] = {}
        self._last: Shown | None = None

    def show(self, segmented: Segmented) -> Times:
        """Offer a frame to whoever watches. Encodes it here for those who wait for it; who is late has it encoded then,
        if it is still the newest: viewers that never read cost nothing."""
        frame, watch = Shown(segmented, self._encoder), Stopwatch()
        self._newest[frame.source] = self._last = frame
        viewers = self._audience.watching(frame.source)
        for form in {viewer.form for viewer in viewers if viewer.is_waiting}:
            frame.encode(form, watch)
        for viewer in viewers:
            viewer.offer(frame)
        return watch.times_ms

    @property
    def sources(self) -> list[str]:
        """Those of which a frame came."""
        return list(self._newest)

    def newest(self, source: str | None) -> Shown | None:
        """Of one source, or of all."""
        return self._last if source is None else self._newest.get(source)

    async def encoded(self, frame: Shown, form: Form) -> bytes:
        """Off the loop, where it was not encoded already."""
        found = frame.encoded(form)
        if found is not None:
            return found
        return await asyncio.get_running_loop().run_in_executor(self._threads, frame.encode, form)
