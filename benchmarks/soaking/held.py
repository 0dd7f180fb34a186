"""What a process and its children hold of the machine, from /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from benchmarks.soaking.record import Held

PROC = Path("/proc")


def held_by(pid: int) -> Held:
    """Raises OSError where the process is gone."""
    memory = _memory(pid)
    children = descendants(pid)
    shares = []
    for child in children:
        with suppress(OSError):  # it has just ended
            shares.append(_memory(child).get("Pss", 0))
    return Held(
        memory["Pss"],
        memory["Pss_Anon"] + memory["Pss_Shmem"],
        len(os.listdir(PROC / str(pid) / "fd")),
        len(os.listdir(PROC / str(pid) / "task")),
        len(shares),
        sum(shares),
    )


def _memory(pid: int) -> dict[str, int]:
    """Bytes, by the kernel's names."""
    lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: 1024 * int(line.split()[1]) for line in lines}


def descendants(pid: int) -> list[int]:
    """Its children, and theirs."""
    by_parent = defaultdict(list)
    for process in filter(str.isdigit, os.listdir(PROC)):
        with suppress(OSError):
            by_parent[_parent(int(process))].append(int(process))
    found, waiting = [], [pid]
    while waiting:
        children = by_parent[waiting.pop()]
        found += children
        waiting += children
    return found


def _parent(pid: int) -> int:
    return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])


def command_of(pid: int) -> list[str]:
    return (PROC / str(pid) / "cmdline").read_text().split("\0")
