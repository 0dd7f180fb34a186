"""How a thread or a signal handler wakes the main thread, which otherwise only waits."""

from __future__ import annotations

from queue import Empty, SimpleQueue


class Bell:
    """A ring is never lost. `ring` may be called from a signal handler: SimpleQueue's `put` is reentrant."""

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()

    def ring(self) -> None:
        self._rings.put(None)

    def wait(self, within_s: float) -> None:
        """Until it rings, for so long at most."""
        try:
            self._rings.get(timeout=within_s)
        except Empty:
            return
