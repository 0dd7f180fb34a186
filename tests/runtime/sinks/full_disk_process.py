"""Writes to a disk until it is full, frees it and goes on: `python -m ... WAY FOLDER TARGET`; prints what it met.

WAY is `tmpfs` (FOLDER is one of 2 MB, mounted for this process alone) or `limit` (no file may grow beyond a limit).
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import OutputError
from runtime.sinks.disk_space import is_disk_full
from runtime.sinks.opening import open_sink
from runtime.sinks.recording import RecordingOptions
from runtime.sinks.sink import Segmented, SinkContext
from runtime.sources.frame import Frame

OPTIONS = RecordingOptions(check_s=1e9, min_free_bytes=100_000)  # the disk fills faster than anybody looks
CONTEXT = SinkContext(STREET_LABELS, "overlay", 0.1, Fraction(25), live=True, recording=OPTIONS)
FRAMES_AFTER = 40


def write(target: str, first: int, frames: int, seen: list[int]) -> str | None:
    """What ended it early; each frame that was written goes to `seen`."""
    random = np.random.default_rng(0)
    with closing(open_sink(target, CONTEXT)) as sink:
        for index in range(first, first + frames):
            image = random.integers(0, 256, (96, 128, 3), np.uint8)
            frame = Frame(image, index, "cam", received_ns=10**9 + index * 40_000_000)
            sink.write(Segmented(frame, np.zeros((96, 128), np.uint8), {}))
            seen.append(index)
        sink.finish()
    return None


def attempt(work: Callable[[], object]) -> str | None:
    try:
        work()
    except OutputError as error:
        return f"{'full' if is_disk_full(error) else 'failed'}: {error}"
    return None


def main(way: str, folder: Path, target: str) -> None:
    hog, hard = folder / "hog", resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    if way == "tmpfs":
        hog.write_bytes(b"\0" * 1_300_000)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    first: list[int] = []
    after: list[int] = []
    met = {"first": attempt(lambda: write(target, 0, 5000, first)), "first_frames": len(first)}
    if way == "tmpfs":
        met["again"] = attempt(lambda: write(target, len(first), 1, []))
        hog.unlink()
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    met["freed"] = attempt(lambda: write(target, len(first), FRAMES_AFTER, after))
    print(json.dumps({**met, "files": _told(folder)}))


def _told(folder: Path) -> dict[str, object]:
    """Frames of each video, lines of each text."""
    return {
        path.name: path.read_text().splitlines() if path.suffix == ".jsonl" else _frames(path)
        for path in sorted(folder.iterdir())
        if path.is_file()
    }


def _frames(path: Path) -> int:
    """As a player does, without the one that was torn."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size and not packet.is_corrupt]
        return sum(len(packet.decode()) for packet in packets)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
