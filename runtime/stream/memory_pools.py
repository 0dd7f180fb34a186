"""How many pools glibc takes memory from: by default up to eight a core, so that threads never wait for each other.

What many threads take and give back in turns (frames, encoders) leaves gaps in each pool, by which a process of fifty
threads grows for a long time. Two pools are enough for threads that mostly compute: benchmarks/soak.py.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

POOLS = 2
M_ARENA_MAX = -8  # malloc.h of glibc


def share_memory_pools() -> None:
    """In the main thread, before there are others. Other libraries of C have no such thing, and nothing is done."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, POOLS)
