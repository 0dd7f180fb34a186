"""Files of Jetsons as NVIDIA documents them and owners show them, written under a folder. No Jetson was at hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NVPMODEL = """\
# comment: < POWER_MODEL ID=7 NAME=NEVER >
< PARAM TYPE=FILE NAME=CPU_ONLINE >
CORE_0 /sys/devices/system/cpu/cpu0/online

< POWER_MODEL ID=0 NAME=15W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=2 NAME=MAXN_SUPER >
CPU_ONLINE CORE_0 1

< PM_CONFIG DEFAULT=1 >
"""

DPKG = """\
Package: nvidia-l4t-core
Status: install ok installed
Architecture: arm64
Version: 36.4.3-20250107174145
Description: NVIDIA Core Package

Package: nvidia-jetpack
Status: install ok installed
Version: 6.2+b77

Package: python3-libnvinfer
Status: deinstall ok config-files
Version: 8.6.2.3-1+cuda12.2

Package: python3-numpy
Status: install ok installed
Version: 1:1.21.5-1ubuntu22.04.1
"""

ORIN_CPUINFO = """\
processor\t: 0
model name\t: ARMv8 Processor rev 1 (v8l)
BogoMIPS\t: 62.50
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp uscat
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd42
CPU revision\t: 1

processor\t: 1
CPU part\t: 0xd42
"""

MONITOR = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"

# A Jetson Orin Nano with JetPack 6.2.
ORIN = {
    "etc/nv_tegra_release": (
        "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64, DATE: Wed Jan  8 01:49:37 UTC"
        " 2025\n# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n"
    ),
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super\0",
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005-super\0nvidia,p3767-0005\0nvidia,tegra234\0",
    "proc/cpuinfo": ORIN_CPUINFO,
    "proc/meminfo": "MemTotal:        7802792 kB\nMemFree:         4022312 kB\n",
    "var/lib/dpkg/status": DPKG,
    "var/lib/nvpmodel/status": "pmode:0001\n",
    "etc/nvpmodel.conf": NVPMODEL,
    "sys/class/devfreq/15340000.vic/cur_freq": "435200000\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/min_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "918000000\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "47750\n",
    f"{MONITOR}/in1_label": "VDD_IN\n",
    f"{MONITOR}/in1_input": "5008\n",
    f"{MONITOR}/curr1_input": "1120\n",
    f"{MONITOR}/in2_label": "VDD_CPU_GPU_CV\n",
    f"{MONITOR}/in2_input": "5000\n",
    f"{MONITOR}/curr2_input": "176\n",
    f"{MONITOR}/in7_label": "sum of shunt voltages\n",
    f"{MONITOR}/in7_input": "2880\n",
}

# A Jetson AGX Thor with JetPack 7.1, where the GPU is a PCI device and its clusters have clocks of their own.
THOR = {
    "etc/nv_tegra_release": "# R38 (release), REVISION: 4.0, GCID: 43443517, BOARD: generic, EABI: aarch64\n",
    "proc/device-tree/model": "NVIDIA Jetson AGX Thor Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3971-0080+p3834-0008\0nvidia,tegra264\0",
    "var/lib/nvpmodel/status": "pmode:0001\n",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=MAXN >\n< POWER_MODEL ID=1 NAME=120W >\n",
    "sys/class/devfreq/gpu-gpc-0/cur_freq": "1575000000\n",
    "sys/class/devfreq/gpu-gpc-0/min_freq": "1575000000\n",
    "sys/class/devfreq/gpu-gpc-0/max_freq": "1575000000\n",
    "sys/class/devfreq/gpu-nvd-0/cur_freq": "810000000\n",
}


def write_files(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def l4t_files(release: str, revision: str) -> dict[str, str]:
    """The least by which a Jetson is known."""
    return {"etc/nv_tegra_release": f"# R{release} (release), REVISION: {revision}, GCID: 1, BOARD: generic\n"}
