"""The machine that figures must be read with: processor, system, Python. (Its GPU: `cuda_driver`.)"""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

# What decides how fast a CPU multiplies small numbers, by Linux's names (x86, then ARM).
CPU_FEATURES = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "asimddp", "i8mm")


def machine() -> dict[str, Any]:
    """What figures must be read with: processor, its features, the cores this process may use, system, Python."""
    features = _cpu_line("flags", "Features").split()
    return {
        "processor": _cpu_line("model name", "Model") or platform.processor() or platform.machine(),
        "features": [name for name in CPU_FEATURES if name in features],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _cpu_line(*keys: str) -> str:
    """The first line of /proc/cpuinfo that starts with one of `keys`, without its key; empty where there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(keys)), "")
