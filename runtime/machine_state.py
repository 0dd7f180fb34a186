"""The machine at work: temperatures, clocks, power, what slows it down, memory, disk. (What it is: `machine`.)"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from runtime.jetson import gpu_clock, power_mode, rails_w, temperatures_c
from runtime.machine import meminfo_bytes
from runtime.stream.status import Reason
from runtime.system_files import text_of
from runtime.throttling import Clock, Counters, alarms_between, coolers_at_work, cpu_busy, cpu_clock

# Words of NVML that alone are no reason to worry: a power limit is, where the clock shows it.
POWER_LIMIT = "power limit"
HARMLESS = (POWER_LIMIT, "clocks set by the user", "sync boost", "display clocks", "reason ")


@dataclass(frozen=True)
class MachineState:
    """One look. What nobody tells is None or empty."""

    temperatures_c: Mapping[str, float] = field(default_factory=dict)  # by thermal zone; a desktop's GPU is `gpu`
    clocks: Mapping[str, Clock] = field(default_factory=dict)  # cpu, gpu
    power_mode: str | None = None  # a Jetson's
    rails_w: Mapping[str, float] = field(default_factory=dict)  # a Jetson's, by power rail
    gpu_power_w: float | None = None  # a desktop GPU's
    throttle: Sequence[str] = ()  # what holds clocks back, in words
    memory_bytes: int | None = None
    memory_free_bytes: int | None = None  # what may still be taken
    process_bytes: int | None = None  # of memory that this process holds
    disk_free_bytes: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Without what nobody tells."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {}, (), [])}


def read_machine_state(
    root: Path, folder: Path, gpu: Mapping[str, Any], before: Counters, now: Counters
) -> MachineState:
    """Files below `root`, the disk of `folder`, what NVML tells, and two readings of what counts up."""
    mode, degrees = power_mode(root), temperatures_c(root)
    if gpu.get("temperature_c") is not None:
        degrees = {"gpu": float(gpu["temperature_c"]), **degrees}
    clocks = {"cpu": cpu_clock(root, cpu_busy(before, now)), "gpu": _gpu_clock(root, gpu)}
    words = [*(gpu.get("throttle") or ()), *coolers_at_work(root), *alarms_between(before, now)]
    return MachineState(
        degrees,
        {name: clock for name, clock in clocks.items() if clock},
        (mode.name or str(mode.number)) if mode else None,
        rails_w(root),
        gpu.get("power_w"),
        tuple(word for word in dict.fromkeys(words) if word != "idle"),
        meminfo_bytes(root, "MemTotal"),
        meminfo_bytes(root, "MemAvailable"),
        _process_bytes(root),
        _disk_free_bytes(folder),
    )


def _gpu_clock(root: Path, gpu: Mapping[str, Any]) -> Clock | None:
    """A Jetson's files before NVML, which tells less there."""
    if clock := gpu_clock(root):
        return Clock(clock.mhz, clock.max_mhz, clock.busy)
    if gpu.get("gpu_clock_mhz") is None:
        return None
    return Clock(gpu["gpu_clock_mhz"], gpu.get("gpu_clock_max_mhz"), gpu.get("gpu_busy"))


def _process_bytes(root: Path) -> int | None:
    words = (text_of(root / "proc/self/statm") or "").split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if len(words) > 1 else None


def _disk_free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def throttled(states: Sequence[MachineState]) -> Reason | None:
    """Why the machine is slower than it could be, where each of these looks, of some seconds, shows it."""
    found = [_found(state) for state in states]
    if not found or not all(found):
        return None
    hottest = max(states[-1].temperatures_c.items(), key=lambda zone: zone[1], default=None)
    heat = f"; the hottest: {hottest[0]} at {hottest[1]:.0f} C" if hottest else ""
    return Reason("THROTTLED", f"the machine is slowed down: {', '.join(found[-1])}{heat}", _cure(states[-1]))


def _found(state: MachineState) -> list[str]:
    slow = [
        f"the {name.upper()} runs at {clock.mhz} of {clock.max_mhz} MHz under load"
        for name, clock in state.clocks.items()
        if clock.is_slow
    ]
    limited = [POWER_LIMIT] if slow and POWER_LIMIT in state.throttle else []
    return slow + limited + [word for word in state.throttle if not word.startswith(HARMLESS)]


def _cure(state: MachineState) -> str:
    words = " ".join(state.throttle)
    if "voltage" in words or "current" in words or "brake" in words:
        return "give it a stronger power supply and a shorter cable, or a lower power mode"
    if POWER_LIMIT in words:
        return "raise its power limit, or lower the load: fewer frames a second, a smaller model"
    return "cool it: check fan, dust and the air around it; or lower the load"
