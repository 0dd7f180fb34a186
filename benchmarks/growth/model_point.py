"""What one model costs, in a process of its own: the median of its latency, and the memory that it takes.

python -m benchmarks.growth.model_point MODEL.onnx ENGINE THREADS SECONDS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter

import numpy as np

from runtime.session import open_session

LEAST = 10  # passes that are measured


def main(model: Path, engine: str, threads: int, seconds: float) -> None:
    """Print `p50_ms`, `peak_mb` of the process and `own_mb`, which is the peak less what it held before."""
    before = _memory_mb("VmRSS")
    with open_session(model, engine, threads=threads) as session:
        frame = np.random.default_rng(0).integers(0, 256, (*session.facts.size_hw, 3)).astype(np.uint8)
        for _ in range(LEAST // 2):
            session.infer(frame)
        times_ms: list[float] = []
        ends = monotonic() + seconds
        while len(times_ms) < LEAST or monotonic() < ends:
            started = perf_counter()
            session.infer(frame)
            times_ms.append(1e3 * (perf_counter() - started))
    peak = _memory_mb("VmHWM")
    print(json.dumps({"p50_ms": median(times_ms), "peak_mb": peak, "own_mb": peak - before}))


def _memory_mb(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024 / 1e6


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
