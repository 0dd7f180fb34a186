"""What a user may say of a camera's recordings. `segments` makes them."""

from __future__ import annotations

from dataclasses import dataclass

from fcn_edge.errors import UsageError


@dataclass(frozen=True)
class RecordingOptions:
    """Of a camera's recordings; a file's has no limits."""

    segment_s: float = 600.0  # of names that hold the time: ten minutes are found, copied and lost as one
    min_free_bytes: int | None = None  # left on the disk for everybody else; None: 1 GiB, or 5 % of a small disk
    keep_bytes: int | None = None  # of one series; the oldest are deleted beyond it. None: none is ever deleted
    check_s: float = 5.0  # between two looks at the disk

    def __post_init__(self) -> None:
        if self.segment_s < 1:
            raise UsageError(f"wanted segments of at least one second, found {self.segment_s:g}; the default is 600")
        if min(self.min_free_bytes or 0, self.keep_bytes or 0) < 0:
            raise UsageError("wanted bytes to keep or to leave free, found a number below zero; leave it out")
