"""What a soak saw: samples of the process, outages and how they ended, and how the process ended. Plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Counted:
    """Frames of one source at one moment."""

    received: int
    segmented: int
    bad: int
    dropped: int
    in_flight: int


@dataclass(frozen=True)
class Held:
    """What a process holds of its machine, and how many children it has."""

    pss_bytes: int  # its memory, with its share of what others use too
    own_bytes: int  # of that, without files: what others do changes nothing of it
    descriptors: int
    threads: int
    children: int
    children_pss_bytes: int


@dataclass(frozen=True)
class Sample:
    """One moment."""

    at_s: float  # since the soak began
    is_calm: bool  # no fault, every camera streams, nobody watches
    held: Held
    fps: float | None = None  # segmented; None where the page did not answer
    counts: Mapping[str, Counted] = field(default_factory=dict)  # by source; empty where the page did not answer


@dataclass(frozen=True)
class Outage:
    """Something that was made to fail, and when it was whole again."""

    what: str  # the camera, the disk, ...
    fault: str
    began_s: float
    returned_s: float  # when the fault was taken back
    recovered_s: float | None = None  # when it was seen to work again

    @property
    def seconds(self) -> float:
        """From its return until it worked."""
        return float("inf") if self.recovered_s is None else self.recovered_s - self.returned_s


@dataclass(frozen=True)
class Ending:
    """How the process ended, and what it left."""

    exit_code: int | None
    seconds: float  # from SIGTERM to its end
    log: str
    videos: Mapping[str, int]  # frames that can be read of each recording
    unfinished: Sequence[str] = ()  # recordings that have no name yet
    sent: Mapping[str, int] = field(default_factory=dict)  # pictures that each camera sent, where that is known


@dataclass(frozen=True)
class Soak:
    samples: Sequence[Sample]
    outages: Sequence[Outage]
    ending: Ending
