"""What comes of all the connections of a camera, one after another: counted, timed, and the newest of it kept."""

from __future__ import annotations

from time import monotonic

from runtime.capture.arrivals import Arrivals
from runtime.capture.messages import Filled, Unusable
from runtime.capture.newest import Newest, Waiting
from runtime.capture.process import CaptureProcess
from runtime.capture.timeline import Timeline
from runtime.stream.counts import FrameCounts


class Intake:
    """A picture is received when its message is: what a killed child had not told never came."""

    def __init__(self, name: str, counts: FrameCounts) -> None:
        self.counts, self.newest = counts, Newest(name, counts)
        self.size_hw: tuple[int, int] | None = None
        self._timeline, self._arrivals = Timeline(), Arrivals()

    def take_in(self, child: CaptureProcess, filled: Filled) -> None:
        """Raises ValueError where there can be no such picture; it is not counted then."""
        child.ring.picture(filled.slot, filled.size_hw)
        self._count(filled)
        self.counts.receive()
        self.size_hw = filled.size_hw
        self._arrivals.add(1, monotonic())
        self.newest.put(Waiting(filled, self._timeline.at(filled.received_ns, filled.time), child))

    def take_in_unusable(self, unusable: Unusable) -> None:
        self._count(unusable)

    def _count(self, told: Filled | Unusable) -> None:
        """Pictures that came before this message, and that nobody gets."""
        self.counts.receive(told.dropped + sum(told.spoiled.values()))
        if told.dropped:
            self.counts.drop("overwritten", told.dropped)
        for why, count in told.spoiled.items():
            self.counts.spoil(why, count)
        self._arrivals.add(told.dropped, monotonic())

    @property
    def rate(self) -> float | None:
        """Good pictures a second, of the last ten seconds."""
        return self._arrivals.rate(monotonic())
