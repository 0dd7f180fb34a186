"""Statuses of streams that were never run, for tests of who shows them."""

from __future__ import annotations

from typing import Any

from runtime.stream.status import (
    Counts,
    Reason,
    SinkStatus,
    SourceState,
    SourceStatus,
    Spread,
    Status,
    StreamState,
)

NO_SIGNAL = Reason("NO_SIGNAL", "no frame for 5 s", "check its cable")
REFUSED = Reason("CONNECTION_FAILED", "connection refused", "switch it on")
FULL = Reason("DISK_FULL", "no space left", "make room")
HOT = Reason("THROTTLED", "the GPU runs at 306 of 918 MHz", "cool it")


def source(state: SourceState = SourceState.STREAMING, reason: Reason | None = None, **more: Any) -> SourceStatus:
    return SourceStatus(
        **{"name": "gate", "uri": "rtsp://***@host/1", "live": True, "since_s": 1.0, **more}, state=state, reason=reason
    )


def sink(state: str = "ok", reason: Reason | None = None, name: str = "out.mkv") -> SinkStatus:
    return SinkStatus(name, state, reason=reason)


def status(*parts: SourceStatus | SinkStatus, state: StreamState = StreamState.RUNNING, **more: Any) -> Status:
    """With the reasons of its parts, and `reasons` of its own."""
    reasons = [*(part.reason for part in parts if part.reason), *more.pop("reasons", ())]
    values: dict[str, Any] = {
        "since_s": 1.0,
        "uptime_s": 100.0,
        "model": {},
        "received_fps": 25.0,
        "segmented_fps": 24.8,
        "age_at_mask_ms": Spread(250, 31.2, 45.4, 60.0),
        "age_at_wire_ms": Spread(),
        "stages_ms": {},
        "history": [],
        "machine": {},
    }
    return Status(
        state,
        reasons=reasons,
        sources=[part for part in parts if isinstance(part, SourceStatus)],
        sinks=[part for part in parts if isinstance(part, SinkStatus)],
        **{**values, **more},
    )


def counts(dropped: dict[str, int], bad: dict[str, int] | None = None) -> Counts:
    return Counts(1000, 900, bad or {}, dropped)
