"""The machine that figures must be read with: processor, memory, board, system, Python. (Its GPU: `gpu_state`.)"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from runtime.system_files import number_of, text_of

# What decides how fast a CPU multiplies small numbers: by Linux's names in /proc/cpuinfo, and as people know it.
CPU_FEATURES = {
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX512",
    "avx512_vnni": "AVX512-VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_int8": "AMX-INT8",
    "amx_bf16": "AMX-BF16",
    "asimddp": "NEON dot product",
    "i8mm": "I8MM",
}

# ARM's cores carry numbers, not names: (implementer, part), from its technical reference manuals.
ARM_CORES = {
    ("0x41", "0xd03"): "Cortex-A53",
    ("0x41", "0xd07"): "Cortex-A57",
    ("0x41", "0xd08"): "Cortex-A72",
    ("0x41", "0xd0b"): "Cortex-A76",
    ("0x41", "0xd0c"): "Neoverse N1",
    ("0x41", "0xd40"): "Neoverse V1",
    ("0x41", "0xd42"): "Cortex-A78AE",  # Jetson Orin
    ("0x41", "0xd49"): "Neoverse N2",
    ("0x41", "0xd4f"): "Neoverse V2",
    ("0x41", "0xd83"): "Neoverse V3AE",  # Jetson Thor
    ("0x4e", "0x004"): "NVIDIA Carmel",  # Jetson Xavier
}

# Files that only containers have: Docker's, Podman's, systemd's.
CONTAINER_MARKS = (".dockerenv", "run/.containerenv", "run/systemd/container")


def machine(root: Path = Path("/")) -> dict[str, Any]:
    """What figures must be read with; `board` is None where no firmware names one, as on a PC.

    `cores` are those this process may use, `memory_bytes` what it may fill. Files are read below `root`.
    """
    cpu = _first_core(text_of(root / "proc/cpuinfo") or "")
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    return {
        "processor": _processor(cpu),
        "features": [name for flag, name in CPU_FEATURES.items() if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": _memory_bytes(root),
        "board": text_of(root / "proc/device-tree/model") or None,
        "container": any((root / mark).exists() for mark in CONTAINER_MARKS),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _first_core(cpuinfo: str) -> dict[str, str]:
    """Each key's first value."""
    facts: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            facts.setdefault(key.strip(), value.strip())
    return facts


def _processor(cpu: dict[str, str]) -> str:
    if "CPU part" in cpu:  # an ARM, whose "model name", if any, is but the architecture's
        implementer, part = cpu.get("CPU implementer", "?"), cpu["CPU part"]
        return ARM_CORES.get((implementer, part), f"ARM core {implementer}:{part}")
    return cpu.get("model name") or platform.processor() or platform.machine()


def _memory_bytes(root: Path) -> int | None:
    """The machine's, or less where a container may take less."""
    limits = [
        meminfo_bytes(root, "MemTotal"),
        number_of(root / "sys/fs/cgroup/memory.max"),
        number_of(root / "sys/fs/cgroup/memory/memory.limit_in_bytes"),
    ]
    return min((limit for limit in limits if limit), default=None)


def meminfo_bytes(root: Path, name: str) -> int | None:
    """A line of /proc/meminfo, `MemAvailable` for instance."""
    lines = (text_of(root / "proc/meminfo") or "").splitlines()
    kb = next((line.split()[1] for line in lines if line.startswith(f"{name}:") and line.endswith("kB")), "")
    return int(kb) * 1024 if kb.isdecimal() else None
