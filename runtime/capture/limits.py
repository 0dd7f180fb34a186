"""How long a live source may keep us waiting. Seconds, all of them of the monotonic clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from fcn_edge.errors import UsageError


@dataclass(frozen=True)
class Limits:
    """With these a camera that is back gives pictures within 15 s, whatever the attempt before it is doing: it hangs
    for `connect_s`, is killed after `grace_s`, and the next one starts at once, for `retry_most_s` have passed."""

    connect_s: float = 10.0  # from an attempt's start to its first picture
    pause_s: float = 2.0  # without a picture for so long it counts as stalled; encoders pause for half a second
    stall_s: float = 5.0  # without a picture for so long it is connected anew
    bad_in_a_row: int = 10  # so many spoiled pictures without a good one between: connected anew
    bad_s: float = 2.0  # or spoiled ones alone for so long
    frozen_s: float = 10.0  # the same picture for so long is told
    restart_on_frozen: bool = False  # what stands still on purpose must not be connected anew for ever
    retry_most_s: float = 8.0  # from the start of one attempt to the next: a busy machine needs the rest to start it
    steady_s: float = 30.0  # good for so long: the next fault is a new one, and the first retry comes at once again
    grace_s: float = 1.0  # for the child to close its camera before it is killed

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, bool) and not 0 < value < math.inf:
                raise UsageError(f"wanted {field.name} of a source above 0, found {value}; leave it out for the usual")
