"""Small files by which Linux tells of itself, in /proc, /sys and /etc. One that is missing or odd reads as None.

The standard library and Python 3.8 suffice: `scripts/jetson-install` uses this before anything is installed.
"""

from __future__ import annotations

from pathlib import Path


def text_of(path: Path) -> str | None:
    """Without the white space and NUL bytes around it; sensors that sleep and files of others are None too."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0 \t\r\n")
    except (OSError, ValueError):
        return None


def number_of(path: Path) -> int | None:
    """A file that holds one whole number."""
    try:
        return int(text_of(path) or "")
    except ValueError:
        return None


def paths_of(root: Path, pattern: str) -> list[Path]:
    """What is there under `root`, in the order of names."""
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return []
