"""What a stream tells of itself while it runs: states, reasons with their cures, figures. Plain values, made anew for
whoever asks; `Status.to_json` is what the live page, `/state` and the logs show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class SourceState(str, Enum):
    """Where a source is on its way."""

    CONNECTING = "CONNECTING"
    STREAMING = "STREAMING"
    STALLED = "STALLED"  # it was streaming and nothing usable comes
    BACKOFF = "BACKOFF"  # waiting until the next attempt
    ENDED = "ENDED"  # a file that was read to its end, or the stream stops


class StreamState(str, Enum):
    """Where the whole is."""

    STARTING = "STARTING"  # no frame was segmented yet
    RUNNING = "RUNNING"
    DEGRADED = "DEGRADED"  # it runs, and something is wrong: see the reasons
    STOPPING = "STOPPING"


@dataclass(frozen=True)
class Reason:
    """Why something is not as it should be. `code` is one of a small set and may be matched on; `text` may not."""

    code: str  # NO_SIGNAL, AUTH_FAILED, DISK_FULL, ...
    text: str  # what was found, without credentials
    cure: str  # what to do


@dataclass(frozen=True)
class Counts:
    """Frames of one source. received = segmented + bad + dropped + in_flight, always."""

    received: int = 0
    segmented: int = 0
    bad: Mapping[str, int] = field(default_factory=dict)  # by why they could not be used: truncated, undecodable, ...
    dropped: Mapping[str, int] = field(default_factory=dict)  # by cause: overwritten, stale, rate, model
    in_flight: int = 0


@dataclass(frozen=True)
class SourceStatus:
    """One source now."""

    name: str
    uri: str  # without credentials
    live: bool
    state: SourceState
    since_s: float  # how long it has been in this state
    reason: Reason | None = None
    size_hw: tuple[int, int] | None = None
    rate: float | None = None  # frames a second that came in the last ten seconds
    connects: int = 0  # times that it was reached
    attempts: int = 0  # tries since it was last streaming
    counts: Counts = field(default_factory=Counts)
    class_shares: Mapping[str, float] = field(default_factory=dict)  # of its newest mask


@dataclass(frozen=True)
class SinkStatus:
    """One sink now."""

    name: str  # as it was asked for, without credentials
    state: str  # ok, failed, stuck
    written: int = 0
    dropped: int = 0
    waiting: int = 0
    reason: Reason | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)  # what this kind has to tell: viewers, file, free bytes


@dataclass(frozen=True)
class Spread:
    """Milliseconds of a window: n samples, and percentiles, which are None where n is too small to tell them."""

    n: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True)
class Second:
    """One second of the last minute, for plots."""

    ago_s: int
    segmented: int
    dropped: int
    stages_ms: Mapping[str, float]  # mean of each stage
    age_ms: float | None  # mean age at the mask


@dataclass(frozen=True)
class Status:
    """Everything at one moment. Windows are the last ten seconds."""

    state: StreamState
    since_s: float
    reasons: Sequence[Reason]
    uptime_s: float
    model: Mapping[str, Any]  # name, precision, device, size_hw, labels: [{id, name, rgb}]
    sources: Sequence[SourceStatus]
    sinks: Sequence[SinkStatus]
    received_fps: float
    segmented_fps: float
    age_at_mask_ms: Spread
    age_at_wire_ms: Spread  # when the last byte went to a viewer; n is 0 where nobody watches
    stages_ms: Mapping[str, Spread]  # in the order of a frame's way; a dot marks a part of a stage: infer.h2d
    history: Sequence[Second]  # oldest first, at most sixty
    machine: Mapping[str, Any]  # temperatures_c, clocks, power_mode, throttle: what the machine tells
    last_frame_s: float | None = None  # since a frame was last segmented

    @property
    def is_ready(self) -> bool:
        """A frame was segmented within the last ten seconds."""
        return self.last_frame_s is not None and self.last_frame_s < 10

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
