"""For child processes that serve engines: TensorRT simulated on its real bindings, and what the stand-in driver counts.

python -m tests.gpu.session_child ARGUMENTS        fcn-edge ARGUMENTS, on them
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

COUNTED = (
    "device_allocations host_allocations streams events graphs graph_execs primary_references allocations pushes pops "
    "launches graph_launches copies pageable_copies synchronisations calls_after_failure context_depth"
).split()
LIVING = COUNTED[:7]


def simulate() -> Any:
    """Put the simulation in the place of TensorRT's classes, for this process."""
    import tensorrt
    import tensorrt_bindings

    from tests.gpu.simulated_tensorrt import install

    return install(tensorrt_bindings, tensorrt)


def counts() -> dict[str, int]:
    """What lives in the driver of this process, and what was done so far."""
    count = ctypes.CDLL("libcuda.so.1").host_cuda_count
    count.restype = ctypes.c_long
    return {name: count(name.encode()) for name in COUNTED}


if __name__ == "__main__":
    simulate()
    from fcn_edge.__main__ import main

    sys.exit(main())
