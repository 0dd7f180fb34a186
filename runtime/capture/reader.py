"""What reads a live source, and which reader a kind of source gets. It runs in the capture child, and may block there:
the parent kills the child, so a reader need not know how to be stopped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.capture.limits import Limits
from runtime.sources.address import Address, Kind


@dataclass(frozen=True)
class Picture:
    """A picture that came whole. Moments are `time.monotonic_ns()`."""

    image: NDArray[np.uint8]  # (H, W, 3) BGR; good until the next one is asked for, so whoever keeps it copies it
    received_ns: int  # when its last byte was here
    decoded_ns: int
    time: float | None = None  # seconds in the medium, from anywhere
    skipped: int = 0  # pictures that came before it and were not decoded, for this one was here already


@dataclass(frozen=True)
class Spoiled:
    """A picture that came and cannot be used."""

    why: str  # truncated, undecodable, blank_rows, too_large: one of few, for it is counted by


class Reader(Protocol):
    """An opened live source. Iterate once: raises CaptureFailure where it is lost, and ends where it ends."""

    rate: float | None  # frames a second as the source announces; many lie
    finite: bool  # whether its end is no fault

    def __iter__(self) -> Iterator[Picture | Spoiled]: ...

    def close(self) -> None: ...


def open_reader(address: Address, limits: Limits) -> Reader:
    """The reader of a live address, connected; raises CaptureFailure. Each kind's libraries load with its first use."""
    if address.kind is Kind.V4L2:
        from runtime.capture.v4l2_reader import open_v4l2

        return open_v4l2(address, limits)
    if address.kind is Kind.CSI:
        from runtime.capture.gstreamer_reader import open_csi

        return open_csi(address, limits)
    if address.kind is Kind.RTSP:
        from runtime.capture.network_reader import open_network

        return open_network(address, limits)
    if address.kind is Kind.HTTP:
        from runtime.capture.http_reader import open_http

        return open_http(address, limits)
    assert address.kind is Kind.TEST, f"{address.shown} is no live source"
    from runtime.capture.pattern_reader import PatternReader

    return PatternReader(address)
