"""Memory that a capture child and its parent share: a few slots, each of which holds one picture. It has no name, so
nothing of it outlives the two. Whose slot is whose they tell each other by messages (`messages.py`), not here."""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from fcn_edge import MAX_PIXELS

SLOTS = 4  # being written, on its way, waiting for the model, being copied out
SLOT_BYTES = -(-3 * MAX_PIXELS // mmap.PAGESIZE) * mmap.PAGESIZE  # address space; memory is only what is touched


def create_ring_file() -> int:
    """A descriptor of new, empty, nameless memory for a `FrameRing`; the caller closes it."""
    try:
        return _sealed_memory(SLOTS * SLOT_BYTES)
    except (AttributeError, OSError):  # a Python built for very old systems, or a sandbox that allows none
        return _unlinked_file(SLOTS * SLOT_BYTES)


def _sealed_memory(size: int) -> int:
    descriptor = os.memfd_create("fcn-edge frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    # Whoever else holds it cannot cut it off: that would kill us with SIGBUS.
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor


def _unlinked_file(size: int) -> int:
    with tempfile.TemporaryFile(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as file:
        os.ftruncate(file.fileno(), size)
        return os.dup(file.fileno())


class FrameRing:
    """The slots of a ring file, mapped. They stay mapped while the ring or an array of it lives."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, SLOTS * SLOT_BYTES)

    def picture(self, slot: int, size_hw: tuple[int, int]) -> NDArray[np.uint8]:
        """(H, W, 3) BGR, no copy; raises ValueError for what cannot be."""
        if not 0 <= slot < SLOTS or min(size_hw) < 1 or math.prod(size_hw) > MAX_PIXELS:
            raise ValueError(f"no slot {slot} for {size_hw[0]}x{size_hw[1]}")
        flat = np.frombuffer(self._memory, np.uint8, 3 * math.prod(size_hw), slot * SLOT_BYTES)
        return flat.reshape(*size_hw, 3)
