"""Judges one connection by what comes and when: is it stalled, are its pictures spoiled, do they stand still?
It is told the time, in monotonic seconds, and does nothing itself."""

from __future__ import annotations

from runtime.capture.failure import failure
from runtime.capture.limits import Limits
from runtime.sources.address import Address
from runtime.stream.status import Reason

START_S = 10.0  # for the child itself to start: a busy machine is not the camera's fault
FEW = 3  # spoiled pictures in a row are a moment's noise, however seldom pictures come
SIGNAL_CURE = "check power and network of the camera"


class Watch:
    """From the start of a connection to its end."""

    def __init__(self, address: Address, limits: Limits, now_s: float) -> None:
        self._address, self._limits = address, limits
        self._connect_by_s = now_s + START_S
        self._first_good_s: float | None = None
        self.last_good_s = now_s
        self._bad_in_a_row = 0
        self._content: int | None = None
        self._content_since_s = now_s

    def begun(self, now_s: float) -> None:
        """The child connects now."""
        self._connect_by_s = now_s + self._limits.connect_s

    def good(self, now_s: float, content: int | None) -> None:
        """A picture came; `content` sums it up, where that was looked at."""
        self._first_good_s = now_s if self._first_good_s is None else self._first_good_s
        self.last_good_s, self._bad_in_a_row = now_s, 0
        if content is not None and content != self._content:
            self._content, self._content_since_s = content, now_s

    def bad(self, count: int) -> None:
        """So many came spoiled."""
        self._bad_in_a_row += count

    @property
    def has_pictures(self) -> bool:
        return self._first_good_s is not None

    def stalled(self, now_s: float) -> Reason | None:
        """Told while it is waited for pictures to come again."""
        limit_s = self._limits.pause_s
        if not self.has_pictures or now_s - self.last_good_s < limit_s:
            return None
        what = "spoiled pictures only" if self._bad_in_a_row else "no picture"
        return self._reason("NO_SIGNAL", f"{what} for more than {limit_s:g} s", SIGNAL_CURE)

    @property
    def is_steady(self) -> bool:
        """Good for long enough to take the next fault for a new one."""
        first_s = self._first_good_s
        return first_s is not None and self.last_good_s - first_s >= self._limits.steady_s

    def frozen(self) -> Reason | None:
        """Told while pictures come that are all the same."""
        limit_s = self._limits.frozen_s
        if self._content is None or self.last_good_s - self._content_since_s < limit_s:
            return None
        cure = "see whether the camera itself hangs; a scene that stands still on purpose may be left so"
        return self._reason("FROZEN", f"the same picture for more than {limit_s:g} s", cure)

    def verdict(self, now_s: float) -> Reason | None:
        """Why the connection is to be given up, if it is."""
        if not self.has_pictures:
            return self._never_came() if now_s >= self._connect_by_s else None
        silent_s = now_s - self.last_good_s
        limits, bad = self._limits, self._bad_in_a_row
        if bad >= limits.bad_in_a_row or (bad >= FEW and silent_s >= limits.bad_s):
            return self._spoiled()
        if silent_s >= limits.stall_s:
            return self._reason("NO_SIGNAL", f"no picture for {silent_s:.0f} s", SIGNAL_CURE)
        return self.frozen() if limits.restart_on_frozen else None

    def _never_came(self) -> Reason:
        # Spoiled ones alone end no connection before its first picture: a video may be joined long before its keyframe.
        return self._spoiled() if self._bad_in_a_row else failure("TIMEOUT", self._address).reason

    def _spoiled(self) -> Reason:
        found = f"{self._bad_in_a_row} spoiled pictures in a row"
        return self._reason("BAD_PICTURES", found, "check the cable and the network between here and the camera")

    def _reason(self, code: str, found: str, cure: str) -> Reason:
        return Reason(code, f"{self._address.shown}: {found}", cure)
