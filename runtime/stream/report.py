"""What a run did, told when it is over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.stream.status import Counts, SinkStatus


@dataclass(frozen=True)
class StreamReport:
    """Frames of all sources: received = segmented + bad + dropped."""

    counts: Sequence[Counts] = ()  # of each source
    seconds: float = 0.0
    stages_ms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # n, mean, percentiles, max
    sinks: Sequence[SinkStatus] = ()
    abandoned: Sequence[str] = ()  # threads that did not end in time: the process must not wait for them

    @property
    def received(self) -> int:
        return sum(one.received for one in self.counts)

    @property
    def segmented(self) -> int:
        return sum(one.segmented for one in self.counts)

    @property
    def bad(self) -> int:
        return sum(sum(one.bad.values()) for one in self.counts)

    @property
    def dropped(self) -> Mapping[str, int]:
        """By cause."""
        return dict(sum((Counter(one.dropped) for one in self.counts), Counter()))

    @property
    def unaccounted(self) -> int:
        """Frames of which nobody knows what became: anything but 0 is our bug."""
        return sum(one.in_flight for one in self.counts)

    @property
    def fps(self) -> float:
        return self.segmented / self.seconds if self.seconds else 0.0
