"""Whether figures may be believed: three windows in a row whose medians agree, with each other and with the whole."""

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


def stability(windows_ms: Sequence[float], whole_ms: float) -> Stability:
    """Of the medians of all windows so far and that of all frames.

    The last three windows count, for a machine may settle late; and what is told is of all frames.
    """
    last = windows_ms[-WINDOWS:]
    if len(last) < WINDOWS:
        return Stability(False, f"too short to tell: {len(last)} of {WINDOWS} windows")
    of = f" of {len(windows_ms)}" if len(windows_ms) > WINDOWS else ""
    if max(last) <= (1 + WITHIN) * min(last):
        if max(*last, whole_ms) > (1 + WITHIN) * min(*last, whole_ms):
            return Stability(False, f"the last {WINDOWS}{of} windows have {last[-1]:.4g} ms, all frames {whole_ms:.4g}")
        spread = max(last) / min(last) - 1
        return Stability(True, f"the last {WINDOWS}{of} windows agree within {100 * spread:.1f} %")
    told = ", ".join(f"{value:.4g}" for value in last)
    return Stability(False, f"the medians of the last {WINDOWS}{of} windows are {told} ms")
