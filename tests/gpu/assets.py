"""What the GPU tests fetch or compile once and keep: bindings, stand-in libraries, pycuda. Not part of the product."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

# Before any test redirects XDG_CACHE_HOME.
CACHE = Path(os.environ.get("FCN_EDGE_TEST_CACHE") or Path.home() / ".cache" / "fcn-edge-tests")


def asset(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; the first who wants it makes it, by filling the empty folder it is given.

    Whatever `make` raises passes through and leaves nothing behind.
    """
    kept = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two processes may want it at once
        if not kept.is_dir():
            fresh = Path(tempfile.mkdtemp(dir=CACHE))
            try:
                make(fresh)
                fresh.rename(kept)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return kept
