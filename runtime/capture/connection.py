"""One connection to a camera: a child that reads it, and a watch that judges what comes. Not what comes after it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from time import monotonic

from runtime.capture import messages
from runtime.capture.failure import failure
from runtime.capture.intake import Intake
from runtime.capture.limits import Limits
from runtime.capture.messages import READER_FAILED, Began, Ended, Failed, Filled, Message, Opened, Unusable
from runtime.capture.process import CaptureProcess
from runtime.capture.watch import Watch
from runtime.sources.address import Address
from runtime.stream.status import Reason


class Connection:
    """From its start to its end, in one thread. Raises OSError where the system gives no process."""

    def __init__(self, address: Address, limits: Limits, factory: str, intake: Intake) -> None:
        self._address, self._intake = address, intake
        self._child = CaptureProcess(address, limits, factory)
        self.watch = Watch(address, limits, monotonic())
        self.is_over = False
        self._finite = False
        self._last: Failed | Ended | None = None
        self._verdict: Reason | None = None

    def follow(self, within_s: float) -> bool:
        """Take in what comes within the time; whether a picture did. After that, `is_over` may be true."""
        had = self.watch.last_good_s
        try:
            for message in self._child.listen(within_s):
                self._note(message)
            self._verdict = self.watch.verdict(monotonic())
            self.is_over = bool(self._last or self._verdict)
        except (messages.Gone, ValueError):
            self.is_over = True
        return self.watch.last_good_s > had

    def end(self, grace_s: float) -> Reason | None:
        """The child is gone, and counted what it still had told. Why it ended; None where that is no fault."""
        for message in self._child.end(grace_s):
            with suppress(ValueError):
                self._note(message)
        if self._verdict:
            return self._verdict
        if isinstance(self._last, Failed):
            return Reason(self._last.code, self._last.text, self._last.cure)
        if isinstance(self._last, Ended):
            return None if self._finite else failure("CLOSED", self._address).reason
        return self._crash()

    def _note(self, message: Message) -> None:
        match message:
            case Began():
                self.watch.begun(monotonic())
            case Opened():
                self._finite = message.finite
            case Filled():
                self._intake.take_in(self._child, message)
                self.watch.good(monotonic(), message.content)
            case Unusable():
                self._intake.take_in_unusable(message)
                self.watch.bad(sum(message.spoiled.values()))
            case Failed() | Ended():
                self._last = message

    def _crash(self) -> Reason:
        found = f"{self._address.shown}: what reads it {self._child.manner}"
        return Reason("CAPTURE_CRASHED", found, "see what it printed last; memory ran out where the system killed it")

    @property
    def last_lines(self) -> Sequence[str]:
        """What the child printed, where it did not end as it should."""
        wrong = self._last is None or (isinstance(self._last, Failed) and self._last.code == READER_FAILED)
        return self._child.last_lines if wrong and not self._verdict else []
