"""What a Jetson tells of itself in files: its release and JetPack, power mode, GPU clock, temperatures, power rails.

All is read below a root folder, so a copy of a Jetson's files will do; what is missing or odd is None, never an
exception. The standard library and Python 3.8 suffice: `scripts/jetson-install` uses this before anything is installed.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.system_files import number_of, paths_of, text_of


@dataclass(frozen=True)
class JetPack:
    """What NVIDIA ships for a release of L4T. One whose revision is not known by name is 6.x, say."""

    version: str
    python: str  # the only one that its TensorRT binding is built for
    cuda: str | None = None
    tensorrt: str | None = None


# By release and revision of L4T, after NVIDIA's JetPack archive.
JETPACKS = {
    "36.3.0": JetPack("6.0", "3.10", "12.2", "8.6.2"),
    "36.4.0": JetPack("6.1", "3.10", "12.6", "10.3"),
    "36.4.3": JetPack("6.2", "3.10", "12.6", "10.3"),
    "36.4.4": JetPack("6.2.1", "3.10", "12.6", "10.3"),
    "36.4.7": JetPack("6.2.1", "3.10", "12.6", "10.3"),
    "36.5.0": JetPack("6.2.2", "3.10", "12.6", "10.3"),
    "36.5.2": JetPack("6.2.3", "3.10", "12.6", "10.3"),
    "38.2.0": JetPack("7.0", "3.12", "13.0", "10.13"),
    "38.2.1": JetPack("7.0", "3.12", "13.0", "10.13"),
    "38.4.0": JetPack("7.1", "3.12", "13.0", "10.13"),
    "39.2.0": JetPack("7.2", "3.12", "13.2", "10.16"),
    "39.2.1": JetPack("7.2.1", "3.12", "13.2", "10.16"),
}

# What a release alone tells.
JETPACK_LINES = {
    "32": JetPack("4.x", "3.6"),
    "35": JetPack("5.x", "3.8"),
    "36": JetPack("6.x", "3.10"),
    "38": JetPack("7.x", "3.12"),
    "39": JetPack("7.x", "3.12"),
}

OLDEST_L4T = 36  # that fcn-edge serves: JetPack 6, for those before it have Python 3.8

# Folders of the GPU's clock: Thor's graphics clusters, then the chip's GPU by its name from Orin back to TX2.
GPU_CLOCKS = (
    "sys/class/devfreq/gpu-gpc-*",
    "sys/class/devfreq/*.gpu",
    "sys/class/devfreq/*.ga10b",
    "sys/class/devfreq/*.gv11b",
    "sys/class/devfreq/*.gp10b",
    "sys/devices/gpu.0/devfreq/*",
)

PACKAGES = ("nvidia-jetpack", "nvidia-l4t-core", "python3-libnvinfer")


@dataclass(frozen=True)
class PowerMode:
    """The limits that nvpmodel has set, and the names of all that it knows, by number."""

    number: int
    names: Mapping[int, str]

    @property
    def name(self) -> str | None:
        return self.names.get(self.number)


@dataclass(frozen=True)
class GpuClock:
    """The GPU's clock now, and the range in which it may move: none after `jetson_clocks`."""

    mhz: int
    min_mhz: int | None
    max_mhz: int | None
    busy: float | None = None  # share of the time, lately


@dataclass(frozen=True)
class Jetson:
    """One look at a Jetson."""

    board: str | None
    l4t: str | None  # "36.4.3"
    jetpack: JetPack | None  # by the release of L4T
    packages: Mapping[str, str]  # those of PACKAGES that are installed, with their versions
    power_mode: PowerMode | None
    gpu_clock: GpuClock | None
    temperatures_c: Mapping[str, float]  # by thermal zone
    rails_w: Mapping[str, float]  # by power rail


def read_jetson(root: Path = Path("/")) -> Jetson | None:
    """None where this is no Jetson."""
    packages = installed_packages(root, PACKAGES)
    l4t = l4t_release(root) or packages.get("nvidia-l4t-core", "").partition("-")[0] or None
    if l4t is None and "nvidia,tegra" not in (text_of(root / "proc/device-tree/compatible") or ""):
        return None
    return Jetson(
        board=text_of(root / "proc/device-tree/model") or None,
        l4t=l4t,
        jetpack=jetpack_of(l4t) if l4t else None,
        packages=packages,
        power_mode=power_mode(root),
        gpu_clock=gpu_clock(root),
        temperatures_c=temperatures_c(root),
        rails_w=rails_w(root),
    )


def l4t_release(root: Path) -> str | None:
    """The release of Jetson Linux, "36.4.3" of `# R36 (release), REVISION: 4.3, GCID: ...`."""
    found = re.search(r"R(\d+) \(release\), REVISION: (\d+(?:\.\d+)*)", text_of(root / "etc/nv_tegra_release") or "")
    return f"{found[1]}.{found[2]}" if found else None


def jetpack_of(l4t: str) -> JetPack | None:
    """NVIDIA writes both 36.4 and 36.4.0."""
    numbers = l4t.split(".")
    return JETPACKS.get(".".join((numbers + ["0", "0"])[:3])) or JETPACK_LINES.get(numbers[0])


def installed_packages(root: Path, names: Collection[str]) -> dict[str, str]:
    """The versions of those of `names` that dpkg has installed."""
    versions = {}
    for stanza in (text_of(root / "var/lib/dpkg/status") or "").split("\n\n"):
        first, _, rest = stanza.strip("\n").partition("\n")
        name = first.partition("Package: ")[2]
        if name in names and re.search(r"^Status: .* installed$", rest, re.MULTILINE):
            version = re.search(r"^Version: (\S+)$", rest, re.MULTILINE)
            versions[name] = version[1] if version else ""
    return versions


def power_mode(root: Path) -> PowerMode | None:
    """What nvpmodel keeps for the next start, with the names of its configuration."""
    kept = re.search(r"pmode:(\d+)", text_of(root / "var/lib/nvpmodel/status") or "")
    known = re.findall(
        r"^\s*<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)", text_of(root / "etc/nvpmodel.conf") or "", re.MULTILINE
    )
    return PowerMode(int(kept[1]), {int(number): name for number, name in known}) if kept else None


def gpu_clock(root: Path) -> GpuClock | None:
    """From the GPU's devfreq folder, whose files hold hertz."""
    for folder in (folder for pattern in GPU_CLOCKS for folder in paths_of(root, pattern)):
        now, least, most = (number_of(folder / f"{name}_freq") for name in ("cur", "min", "max"))
        if now is not None:
            per_mille = number_of(folder / "device/load")
            busy = None if per_mille is None else per_mille / 1000
            return GpuClock(round(now / 1e6), _mhz(least), _mhz(most), busy)
    return None


def _mhz(hertz: int | None) -> int | None:
    return None if hertz is None else round(hertz / 1e6)


def temperatures_c(root: Path) -> dict[str, float]:
    """Degrees by thermal zone. A zone whose part is switched off tells none."""
    zones = paths_of(root, "sys/class/thermal/thermal_zone*")
    told = ((text_of(zone / "type"), number_of(zone / "temp")) for zone in zones)
    return {name: round(value / 1000, 1) for name, value in told if name and value is not None}


def rails_w(root: Path) -> dict[str, float]:
    """Watts by power rail, of the INA3221 monitors: millivolts times milliamperes.

    A seventh channel, the sum of shunt voltages, has a label but no current of its own.
    """
    rails = {}
    for label in paths_of(root, "sys/bus/i2c/drivers/ina3221*/*/hwmon/hwmon*/in[0-9]*_label"):
        channel = label.name[len("in") : -len("_label")]
        name = text_of(label)
        millivolts = number_of(label.with_name(f"in{channel}_input"))
        milliamperes = number_of(label.with_name(f"curr{channel}_input"))
        if name and name != "NC" and millivolts is not None and milliamperes is not None:
            rails[name] = round(millivolts * milliamperes / 1e6, 3)
    return rails
