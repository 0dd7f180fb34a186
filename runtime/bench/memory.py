"""The most memory that this process held, by Linux's own high-water mark."""

from __future__ import annotations

import re
from pathlib import Path

from runtime.system_files import text_of

RESET_PEAK = "5"  # of proc(5), clear_refs: the mark falls to what is held now


def peak_bytes(root: Path = Path("/")) -> int | None:
    """Since the process began, or since `reset_peak`."""
    found = re.search(r"^VmHWM:\s*(\d+) kB", text_of(root / "proc/self/status") or "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def reset_peak(root: Path = Path("/")) -> bool:
    """Whether Linux allowed it; some containers have a /proc that cannot be written."""
    try:
        (root / "proc/self/clear_refs").write_text(RESET_PEAK)
    except OSError:
        return False
    return True
