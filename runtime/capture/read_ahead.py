"""Takes what a source sends as it comes, in a thread of its own, however busy the decoder is: what waits in a socket
grows old unseen, and what waits here is known to be old, and left out when newer is there."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Content = TypeVar("Content")

MOST = 1000  # that wait: half a minute, for a source whose pictures all need the ones before


@dataclass(frozen=True)
class Arrived(Generic[Content]):
    """A picture, still encoded."""

    content: Content
    received_ns: int
    is_start: bool = True  # it can be decoded without those before it


class ReadAhead(Generic[Content]):
    """Iterate once: what `arriving` gives, but for what has waited longer than `patience_s` when a later start is
    there; raises what it raises."""

    def __init__(self, arriving: Iterator[Arrived[Content]], patience_s: float = 0.0) -> None:
        self._arriving, self._patience_ns = arriving, patience_s * 1e9
        self._waiting: deque[Arrived[Content]] = deque()
        self._skipped = 0
        self._changed = threading.Condition()
        self._ended = self._stopping = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="read ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Arrived[Content]]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    break
                self._skip()
                arrived = self._waiting.popleft()
                self._changed.notify_all()
            yield arrived
        if self._error:
            raise self._error

    def take_skipped(self) -> int:
        """How many were left out since this was last asked."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def stop(self, within_s: float) -> bool:
        """Whether nobody reads the source any more. One that is silent cannot be interrupted."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(within_s)
        return not self._thread.is_alive()

    def _skip(self) -> None:
        if time.monotonic_ns() - self._waiting[0].received_ns < self._patience_ns:
            return
        later = [index for index, arrived in enumerate(self._waiting) if arrived.is_start]
        for _ in range(later[-1] if later else 0):
            self._waiting.popleft()
            self._skipped += 1

    def _read(self) -> None:
        try:
            for arrived in self._arriving:
                with self._changed:
                    self._changed.wait_for(lambda: len(self._waiting) < MOST or self._stopping)
                    if self._stopping:
                        break
                    self._waiting.append(arrived)
                    self._changed.notify_all()
        except BaseException as error:
            self._error = error  # raised to whoever iterates
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
