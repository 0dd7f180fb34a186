"""Whether a camera that is lost again and again costs memory, descriptors or threads: six hundred connections, each by
a child process that gives a few pictures and ends.

.venv/bin/python -m benchmarks.reconnects

The slope of memory is taken over the second half, when everything has its room.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.told import facts
from fcn_edge.files import write_json
from runtime.capture.camera import Camera
from runtime.capture.limits import Limits
from runtime.capture.reader import Picture, Reader
from runtime.sources.address import Address, read_address
from runtime.stream.counts import FrameCounts

RESULT = Path(__file__).parent / "results" / "reconnects.json"
SIZE_HW = (360, 480)
PICTURES = 5  # of each connection
AT_ONCE = Limits(retry_most_s=0.001)
LOOK_EVERY = 10  # connections


class Short:
    """A camera that ends its stream after a few pictures."""

    rate: float | None = None
    finite = False

    def __iter__(self) -> Iterator[Picture]:
        for index in range(PICTURES):
            now = time.monotonic_ns()
            yield Picture(np.full((*SIZE_HW, 3), index, np.uint8), now, now)
            time.sleep(0.005)

    def close(self) -> None: ...


def open_short(address: Address, limits: Limits) -> Reader:
    return Short()


@click.command()
@click.option("--connections", default=600)
def main(connections: int) -> None:
    """Print what was held at the start, in the middle and at the end, and keep it as JSON."""
    counts, taken = FrameCounts(), 0
    factory = "benchmarks.reconnects:open_short"
    camera = Camera("lost", read_address("http://camera/"), counts, lambda: None, AT_ONCE, factory=factory)
    rows: list[dict[str, float]] = []
    started_s = time.monotonic()
    camera.start()
    while (connects := camera.status().connects) < connections:
        taken += camera.take() is not None
        if connects >= LOOK_EVERY * (len(rows) + 1):
            rows.append({"connects": connects, "seconds": time.monotonic() - started_s, **_held()})
        time.sleep(0.002)
    camera.stop(5.0)
    now = counts.now()
    told: dict[str, Any] = {
        **facts(),
        "connections": connections,
        "seconds": time.monotonic() - started_s,
        "pss_bytes_a_connection": _slope(rows[len(rows) // 2 :]),
        "received": now.received,
        "taken": taken,
        "dropped": dict(now.dropped),
        "in_flight": now.in_flight - taken,
        "rows": rows,
    }
    for row in (rows[0], rows[len(rows) // 2], rows[-1]):
        print(", ".join(f"{name} {value:.0f}" for name, value in row.items()))
    print({name: value for name, value in told.items() if name != "rows"})
    write_json(RESULT, told)


def _held() -> dict[str, float]:
    rollup = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8")
    pss = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return {
        "descriptors": len(os.listdir("/proc/self/fd")),
        "threads": threading.active_count(),
        "pss_bytes": 1024 * int(pss.split()[1]),
    }


def _slope(rows: list[dict[str, float]]) -> float:
    """Bytes of memory that each connection costs, by least squares."""
    slope, _ = np.polyfit([row["connects"] for row in rows], [row["pss_bytes"] for row in rows], 1)
    return float(slope)


if __name__ == "__main__":
    main()
