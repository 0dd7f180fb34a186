"""What a number of cameras costs, in a process of its own: frames, their age, processor time, memory.

python -m benchmarks.growth.stream_point MODEL ENGINE CAMERAS RATE SECONDS
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from benchmarks.soaking.held import PROC, descendants, held_by
from benchmarks.streaming import in_thread
from runtime.capture.camera import Camera
from runtime.segmenter import Segmenter
from runtime.session import open_session
from runtime.sources.address import read_address
from runtime.stream.counts import FrameCounts
from runtime.stream.stream import Stream

WINDOW_S = 10.0  # over which a stream tells its ages
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def main(model: Path, engine: str, cameras: int, rate: float, seconds: float) -> None:
    """Cameras draw a street of the model's size, each in its child process; print a JSON object."""
    with open_session(model, engine) as session:
        stream = Stream(Segmenter(session))
        height, width = session.facts.size_hw
        for number in range(cameras):
            address = read_address(f"test://?rate={rate:g}&size={height}x{width}&seed={number}")
            stream.add_source(Camera(f"camera {number}", address, FrameCounts(), stream.arrived))
        with in_thread(stream):
            print(json.dumps(measured(stream, cameras, seconds)))


def measured(stream: Stream, cameras: int, seconds: float) -> dict[str, Any]:
    """Once all cameras give pictures and have done so for the window of the ages."""
    while not all(feed.counts.now().segmented for feed in stream.feeds):
        sleep(0.05)
    sleep(max(0.0, WINDOW_S - seconds))
    began_s, began = monotonic(), _counted(stream)
    sleep(seconds)
    took_s, ended = monotonic() - began_s, _counted(stream)
    per_s = {name: (ended[name] - began[name]) / took_s for name in began}
    age, held = stream.status().age_at_mask_ms, held_by(os.getpid())
    return {
        "fps_each": per_s["segmented"] / cameras,
        "dropped_fps_each": per_s["dropped"] / cameras,
        "age_p50_ms": age.p50,
        "age_p99_ms": age.p99,
        "age_n": age.n,
        "processor": per_s["own_s"],
        "cameras_processor": per_s["children_s"],
        "memory_mb": held.pss_bytes / 1e6,
        "cameras_memory_mb": held.children_pss_bytes / 1e6,
    }


def _counted(stream: Stream) -> dict[str, float]:
    """What only grows: frames, and seconds of the processor."""
    counts = [feed.counts.now() for feed in stream.feeds]
    return {
        "segmented": sum(one.segmented for one in counts),
        "dropped": sum(sum(one.dropped.values()) for one in counts),
        "own_s": _processor_s(os.getpid()),
        "children_s": sum(map(_processor_s, descendants(os.getpid()))),
    }


def _processor_s(pid: int) -> float:
    fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S  # utime and stime of proc(5)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
