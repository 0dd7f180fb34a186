"""What goes wrong inside the page's server: told now and then, and never more than that. The stream goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from fcn_edge.errors import first_line
from fcn_edge.progress import say

TOLD_EVERY_S = 60.0


class Faults:
    """Counts our bugs, and tells the first and then one a minute: whoever provokes them shall not fill the log."""

    def __init__(self, tell: Callable[[str], None] = say) -> None:
        self.count, self._tell = 0, tell
        self._told_at: float | None = None

    def __call__(self, error: BaseException) -> None:
        self.count += 1
        if self._told_at is None or monotonic() - self._told_at >= TOLD_EVERY_S:
            self._told_at = monotonic()
            what = f"{type(error).__name__}: {first_line(error)}"
            self._tell(f"live page: {what} (fault {self.count}; the stream goes on)")

    def log(self) -> logging.Logger:
        """One whose complaints are faults: for a library that tells each of them with a page of its stack."""
        log = logging.Logger("live page", logging.WARNING)
        log.addHandler(_Complaints(self))
        return log


class _Complaints(logging.Handler):
    def __init__(self, faults: Faults) -> None:
        super().__init__()
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._faults(error or RuntimeError(record.getMessage()))
