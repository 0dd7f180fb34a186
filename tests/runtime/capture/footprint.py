"""What a process holds of its machine, and whether that grows."""

from __future__ import annotations

import gc
import os
import threading
from dataclasses import astuple, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Footprint:
    """Of this process, at one moment."""

    descriptors: int
    threads: int
    mappings: int
    pss_bytes: int  # memory of its own; its share of libraries depends on who else runs


def footprint() -> Footprint:
    gc.collect()
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    kinds = [line.split() for line in rollup.splitlines() if line.startswith(("Pss_Anon:", "Pss_Shmem:"))]
    return Footprint(
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
        Path("/proc/self/maps").read_text(encoding="utf-8").count("\n"),
        1024 * sum(int(kilobytes) for _, kilobytes, _ in kinds),
    )


def grown(before: Footprint, after: Footprint, most_bytes: int, most_mappings: int = 8) -> list[str]:
    """What has grown, in words. An allocator may keep a few mappings and pages; nobody a descriptor or a thread."""
    limits = {"descriptors": 0, "threads": 0, "mappings": most_mappings, "pss_bytes": most_bytes}
    pairs = zip(limits.items(), astuple(before), astuple(after), strict=True)
    return [f"{name}: {old} -> {new}" for (name, most), old, new in pairs if new - old > most]
