"""log_lines: what is worth a line when a stream's status changes, and how it is put."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runtime.stream.log_lines import headline, lines_for
from runtime.stream.status import Reason, SourceState, Spread, Status, StreamState
from tests.runtime.stream.statuses import FULL, HOT, NO_SIGNAL, REFUSED, counts, sink, source, status

CONNECTING, STREAMING = SourceState.CONNECTING, SourceState.STREAMING
STALLED, BACKOFF = SourceState.STALLED, SourceState.BACKOFF
STARTING, RUNNING, DEGRADED = StreamState.STARTING, StreamState.RUNNING, StreamState.DEGRADED


@pytest.mark.parametrize(
    ("before", "now", "lines"),
    [
        (None, status(source(CONNECTING), sink(), state=STARTING), ["gate: CONNECTING"]),
        (
            None,
            status(source(BACKOFF, REFUSED), state=STARTING),
            ["gate: BACKOFF: connection refused; switch it on"],
        ),
        (status(source(CONNECTING)), status(source(STREAMING)), ["gate: CONNECTING -> STREAMING"]),
        (
            status(source(STREAMING)),
            status(source(STALLED, NO_SIGNAL)),
            ["gate: STREAMING -> STALLED: no frame for 5 s; check its cable"],
        ),
        (
            status(source(STALLED, NO_SIGNAL)),
            status(source(STALLED, REFUSED)),
            ["gate: STALLED: connection refused; switch it on"],
        ),
        (status(source(STALLED, NO_SIGNAL)), status(source(STREAMING)), ["gate: STALLED -> STREAMING"]),
        (
            status(sink()),
            status(sink("failed", FULL), state=DEGRADED),
            ["sink out.mkv: ok -> failed: no space left; make room", "stream: RUNNING -> DEGRADED"],
        ),
        (status(state=STARTING), status(), ["stream: STARTING -> RUNNING"]),
        (
            status(),
            status(state=DEGRADED, reasons=[HOT]),
            ["stream: RUNNING -> DEGRADED: the GPU runs at 306 of 918 MHz; cool it"],
        ),
        (
            status(state=DEGRADED, reasons=[HOT]),
            status(state=DEGRADED, reasons=[HOT, FULL]),
            ["stream: DEGRADED: the GPU runs at 306 of 918 MHz; cool it: no space left; make room"],
        ),
    ],
)
def test_a_change_is_a_line(before: Status | None, now: Status, lines: list[str]) -> None:
    assert lines_for(before, now) == lines


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (None, status(sink(), state=STARTING)),
        (status(source(), sink()), status(source(), sink(), uptime_s=200.0)),
        (
            status(source(STALLED, NO_SIGNAL)),
            status(source(STALLED, replace(NO_SIGNAL, text="no frame for 6 s"))),
        ),
        (status(source(BACKOFF, REFUSED)), status(source(CONNECTING))),
        (status(source(BACKOFF, REFUSED)), status(source(CONNECTING, REFUSED))),
        (status(source(CONNECTING)), status(source(BACKOFF))),
    ],
)
def test_what_is_no_news_is_no_line(before: Status | None, now: Status) -> None:
    assert lines_for(before, now) == []


def test_a_reason_of_a_source_is_told_once_not_of_the_stream_too() -> None:
    lines = lines_for(status(source()), status(source(STALLED, NO_SIGNAL), state=DEGRADED))
    assert lines == ["gate: STREAMING -> STALLED: no frame for 5 s; check its cable", "stream: RUNNING -> DEGRADED"]


def test_several_sources_have_a_line_each() -> None:
    now = status(source(STALLED, NO_SIGNAL), source(name="yard"))
    assert lines_for(status(source(), source(CONNECTING, name="yard")), now) == [
        "gate: STREAMING -> STALLED: no frame for 5 s; check its cable",
        "yard: CONNECTING -> STREAMING",
    ]


def test_a_line_is_one_and_holds_no_password_and_nothing_that_a_terminal_obeys() -> None:
    reason = Reason("X", "rtsp://me:secret@host/1\nsays \x1b[2J", "look")
    (line,) = lines_for(status(source()), status(source(STALLED, reason)))
    assert line == "gate: STREAMING -> STALLED: rtsp://***@host/1 says ?[2J; look"


@pytest.mark.parametrize(
    ("now", "line"),
    [
        (status(source(), sink()), "RUNNING: 25.0 fps in, 24.8 out, age 31 ms (p95 45)"),
        (
            status(
                source(counts=counts({"overwritten": 8, "stale": 2}, {"truncated": 1})),
                source(name="yard", counts=counts({"stale": 7})),
            ),
            "RUNNING: 25.0 fps in, 24.8 out, age 31 ms (p95 45), 17 dropped (stale 9, overwritten 8), "
            "1 bad (truncated 1)",
        ),
        (
            status(source(STALLED, NO_SIGNAL, since_s=7.4), sink("stuck"), state=DEGRADED),
            "DEGRADED: 25.0 fps in, 24.8 out, age 31 ms (p95 45), gate STALLED for 7 s, sink out.mkv stuck",
        ),
        (
            status(source(SourceState.ENDED, live=False), age_at_mask_ms=Spread()),
            "RUNNING: 25.0 fps in, 24.8 out",
        ),
        (status(age_at_mask_ms=Spread(3, 20.0)), "RUNNING: 25.0 fps in, 24.8 out, age 20 ms"),
    ],
)
def test_the_headline_tells_how_it_goes(now: Status, line: str) -> None:
    assert headline(now) == line
