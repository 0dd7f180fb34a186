"""Whether figures may be believed: three windows in a row whose medians agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WINDOWS = 3  # in a row
WITHIN = 0.10  # of the least of them


@dataclass(frozen=True)
class Stability:
    """The verdict, and why in words."""

    stable: bool
    why: str


def stability(windows_ms: Sequence[float]) -> Stability:
    """Of the medians of all windows so far: the last three count, for a machine may settle late."""
    last = windows_ms[-WINDOWS:]
    if len(last) < WINDOWS:
        return Stability(False, f"too short to tell: {len(last)} of {WINDOWS} windows")
    of = f" of {len(windows_ms)}" if len(windows_ms) > WINDOWS else ""
    if max(last) <= (1 + WITHIN) * min(last):
        spread = max(last) / min(last) - 1
        return Stability(True, f"the last {WINDOWS}{of} windows agree within {100 * spread:.1f} %")
    told = ", ".join(f"{value:.4g}" for value in last)
    return Stability(False, f"the medians of the last {WINDOWS}{of} windows are {told} ms")
