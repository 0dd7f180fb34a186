"""Who tells of power on this machine (a Jetson's board, an NVIDIA GPU, an Intel or AMD processor), and mean watts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from runtime.jetson import rails_w
from runtime.system_files import number_of, paths_of, text_of

# The rail that all others of a board hang on: of a Jetson Orin Nano or NX, of a Thor. Those of AGX boards are added up.
WHOLE_BOARDS = ("VDD_IN", "VIN")
# An AGX Orin's memory, which hangs on its VIN_SYS_5V0 and is in its figure (Jetson Linux Developer Guide).
PARTS = ("VDDQ_VDD2_1V8AO",)

# Linux's powercap: a counter of microjoules for each processor, Intel's or AMD's. Mostly only root may read it.
PACKAGES = "sys/class/powercap/intel-rapl:*"


@dataclass(frozen=True)
class Count:
    """Joules since some start, that begin again from 0 after `wraps_at`."""

    joules: float
    wraps_at: float


@dataclass(frozen=True)
class PowerLook:
    """What was told at a moment, by whose power it is."""

    at_s: float  # monotonic
    watts: Mapping[str, float]
    counts: Mapping[str, Count]

    @property
    def sources(self) -> list[str]:
        return [*self.watts, *self.counts]


def look_at_power(root: Path, gpu: Mapping[str, Any], at_s: float) -> PowerLook:
    """Files below `root`, and what NVML tells."""
    watts = _board_watts(rails_w(root))
    if gpu.get("power_w") is not None:
        watts["GPU"] = gpu["power_w"]
    return PowerLook(at_s, watts, _package_counts(root))


def _board_watts(rails: Mapping[str, float]) -> dict[str, float]:
    for whole in WHOLE_BOARDS:
        if whole in rails:
            return {whole: rails[whole]}
    summed = {name: watts for name, watts in rails.items() if name not in PARTS}
    return {" + ".join(summed): sum(summed.values())} if summed else {}


def _package_counts(root: Path) -> dict[str, Count]:
    counts = {}
    for folder in paths_of(root, PACKAGES):
        name, told = text_of(folder / "name"), number_of(folder / "energy_uj")
        if name and name.startswith("package") and told is not None:
            counts[name] = Count(told / 1e6, (number_of(folder / "max_energy_range_uj") or 0) / 1e6)
    return counts


def mean_watts(looks: Sequence[PowerLook]) -> dict[str, float]:
    """Over the time from the first look to the last, by whose power it is: what all looks tell of.

    Watts go straight from one look to the next; counters are read as they are.
    """
    if len(looks) < 2 or looks[-1].at_s <= looks[0].at_s:
        return {}
    told = [name for name in looks[0].sources if all(name in look.sources for look in looks)]
    seconds = looks[-1].at_s - looks[0].at_s
    return {name: sum(_joules(name, *pair) for pair in pairwise(looks)) / seconds for name in told}


def _joules(name: str, one: PowerLook, next_one: PowerLook) -> float:
    if name in one.watts:
        return (one.watts[name] + next_one.watts[name]) / 2 * (next_one.at_s - one.at_s)
    used = next_one.counts[name].joules - one.counts[name].joules
    return used if used >= 0 else used + one.counts[name].wraps_at
