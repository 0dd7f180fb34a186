"""memory_pools: threads share what memory is taken from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent

# Every thread holds memory of its own at once; malloc_info(3) tells in XML from how many pools it came.
THREADS = """
import ctypes, sys, threading
from runtime.stream.memory_pools import share_memory_pools
if sys.argv[1] == "shared":
    share_memory_pools()
library = ctypes.CDLL(None)
library.malloc.restype, library.fdopen.restype = ctypes.c_void_p, ctypes.c_void_p
all_hold = threading.Barrier(12)
def hold():
    library.malloc(1000)
    all_hold.wait()
threads = [threading.Thread(target=hold) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
stdout = library.fdopen(1, b"w")
library.malloc_info(0, ctypes.c_void_p(stdout))
library.fflush(ctypes.c_void_p(stdout))
"""


def pools(how: str) -> int:
    command = [sys.executable, "-c", THREADS, how]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True).stdout
    return told.count("<heap nr=")


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc tells its pools")
def test_threads_share_few_pools() -> None:
    assert pools("shared") <= 2 < pools("by default")
