"""What Linux tells of clocks and of what holds them back: CPU clock and load, cooling that is at work, alarms.

All is read below a root folder; what is missing or odd is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from runtime.system_files import number_of, paths_of, text_of

CPU_POLICIES = "sys/devices/system/cpu/cpufreq/policy*"
COOLERS = "sys/class/thermal/cooling_device*"

# Kernel drivers cool by slowing down a clock under these names; others, fans among them, cost nothing. On a Jetson:
# cpu-throttle-alert, gpu-throttle-alert, soc0-throttle-alert, ...; on a PC: Processor, whose states are ACPI's.
SLOWING_COOLERS = ("cpufreq", "devfreq", "thermal-cpufreq", "thermal-devfreq", "Processor")

# Counters that rise each time that hardware has slowed a clock down by itself.
ALARMS = {
    "under-voltage": "sys/class/hwmon/hwmon*/oc1_event_cnt",  # the three of Jetson Orin's and Thor's soctherm_oc
    "over-current": "sys/class/hwmon/hwmon*/oc[23]_event_cnt",
    "temperature": "sys/devices/system/cpu/cpu*/thermal_throttle/package_throttle_count",  # Intel's
}


@dataclass(frozen=True)
class Clock:
    """A clock now, the fastest that it may be as things are set, and the share of the time in which it had work."""

    mhz: int
    max_mhz: int | None = None
    busy: float | None = None

    @property
    def is_slow(self) -> bool:
        """It has work, and runs below nine tenths of what it may: idle clocks are slow by intent."""
        has_work = self.busy is not None and self.busy >= 0.8
        return has_work and self.max_mhz is not None and self.mhz < 0.9 * self.max_mhz


@dataclass(frozen=True)
class Ticks:
    """Of all cores since the start: those with work, and all."""

    busy: int
    total: int


@dataclass(frozen=True)
class Counters:
    """What only the difference of two readings tells."""

    ticks: Ticks | None = None
    alarms: Mapping[str, int] = field(default_factory=dict)


def read_counters(root: Path) -> Counters:
    found = {word: [number_of(path) for path in paths_of(root, pattern)] for word, pattern in ALARMS.items()}
    alarms = {word: sum(filter(None, counts)) for word, counts in found.items() if counts}
    return Counters(_ticks(text_of(root / "proc/stat") or ""), alarms)


def _ticks(stat: str) -> Ticks | None:
    """Of the line `cpu  user nice system idle iowait irq softirq steal ...`; guests are in user already."""
    found = re.match(r"cpu((?: +\d+){5,})", stat)
    if not found:
        return None
    ticks = [int(word) for word in found[1].split()[:8]]
    return Ticks(sum(ticks) - ticks[3] - ticks[4], sum(ticks))


def cpu_busy(before: Counters, now: Counters) -> float | None:
    """The share of all cores that worked between two readings."""
    if before.ticks is None or now.ticks is None or now.ticks.total <= before.ticks.total:
        return None
    return (now.ticks.busy - before.ticks.busy) / (now.ticks.total - before.ticks.total)


def alarms_between(before: Counters, now: Counters) -> list[str]:
    return [word for word, count in now.alarms.items() if count > before.alarms.get(word, count)]


def cpu_clock(root: Path, busy: float | None) -> Clock | None:
    """The fastest core's. What a boost adds for some cores is no promise, so the most is what all can have."""
    clocks = [_core_clock(policy) for policy in paths_of(root, CPU_POLICIES)]
    known = [clock for clock in clocks if clock]
    fastest = max(known, key=lambda clock: (clock.max_mhz or 0, clock.mhz), default=None)
    return replace(fastest, busy=busy) if fastest else None


def _core_clock(policy: Path) -> Clock | None:
    now = number_of(policy / "scaling_cur_freq")
    limits = [number_of(policy / name) for name in ("scaling_max_freq", "base_frequency")]  # kHz
    if now is None:
        return None
    most = min((limit for limit in limits if limit), default=None)
    return Clock(round(now / 1000), None if most is None else round(most / 1000))


def coolers_at_work(root: Path) -> list[str]:
    """Those that slow a clock down now, by their names."""
    return sorted(set(_at_work(paths_of(root, COOLERS))))


def _at_work(coolers: Iterable[Path]) -> Iterable[str]:
    for cooler in coolers:
        name, state = text_of(cooler / "type") or "", number_of(cooler / "cur_state")
        if state and state > 0 and (name.startswith(SLOWING_COOLERS) or "throttle" in name):
            yield name
