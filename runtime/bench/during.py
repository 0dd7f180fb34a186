"""What several looks at the machine come to: the hottest, the slowest, whatever held it back at any time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.bench.watch import Watch
from runtime.gpu_state import nvml_gpu
from runtime.machine_state import MachineState, throttled
from runtime.throttling import Clock

ROOT = Path("/")
LOOKS = 3  # in a row that must agree: a clock that just rises to its work is not throttled


@contextmanager
def watched() -> Iterator[Watch]:
    """Looks at this machine, its GPU included, while the block runs."""
    with nvml_gpu() as gpu, Watch(ROOT, gpu) as watch:
        yield watch


def during(watch: Watch) -> dict[str, Any]:
    """`state["during"]` of a result, without what nobody tells. `slowed` is there only where it was, in words."""
    states = watch.states
    told = {
        "temperatures_c": _hottest(states),
        "clocks": _clocks(states),
        "power_mode": states[-1].power_mode if states else None,
        "throttle": sorted({word for state in states for word in state.throttle}),
        "slowed": _slowed(states),
        "others_cores": watch.others_cores,
    }
    return {name: value for name, value in told.items() if value not in (None, {}, [])}


def _hottest(states: Sequence[MachineState]) -> dict[str, float]:
    hottest: dict[str, float] = {}
    for state in states:
        for zone, degrees in state.temperatures_c.items():
            hottest[zone] = max(degrees, hottest.get(zone, degrees))
    return hottest


def _clocks(states: Sequence[MachineState]) -> dict[str, dict[str, int | None]]:
    names = dict.fromkeys(name for state in states for name in state.clocks)
    return {name: _clock([state.clocks[name] for state in states if name in state.clocks]) for name in names}


def _clock(looks: Sequence[Clock]) -> dict[str, int | None]:
    clocks = [look.mhz for look in looks]
    return {"least_mhz": min(clocks), "most_mhz": max(clocks), "max_mhz": looks[-1].max_mhz}


def _slowed(states: Sequence[MachineState]) -> str | None:
    runs = (states[start : start + LOOKS] for start in range(len(states) - LOOKS + 1))
    reasons = [reason.text for run in runs if (reason := throttled(run))]
    return reasons[-1] if reasons else None
