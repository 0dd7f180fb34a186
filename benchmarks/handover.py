"""What it costs to hand a camera's picture from the capture child to the model, by size: the child's copy into shared
memory, the message, and the copy out; and how long a child takes to start.

.venv/bin/python -m benchmarks.handover

Both ends run in one process for the two copies, so that each is timed alone; the whole way is timed between two
processes, from when the reader had the picture to when `take` gave it. Processor time of the child is told for 30
pictures a second.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import click
import numpy as np

from benchmarks.told import facts, percentiles
from fcn_edge.files import write_json
from runtime.capture import messages
from runtime.capture.camera import Camera
from runtime.capture.child import Outbox
from runtime.capture.frame_ring import FrameRing, create_ring_file
from runtime.capture.limits import Limits
from runtime.capture.messages import Filled, Freed
from runtime.capture.reader import Picture, Reader
from runtime.sources.address import Address, read_address
from runtime.stream.counts import FrameCounts

RESULT = Path(__file__).parent / "results" / "handover.json"
SIZES = {"360x480": (360, 480), "720p": (720, 1280), "1080p": (1080, 1920)}
RATE = 30
TOLD = (50, 95)  # percentiles


class Steady:
    """Pictures of noise, `RATE` a second; the moment in each is when it was ready."""

    rate: float | None = float(RATE)
    finite = False

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self._image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)

    def __iter__(self) -> Iterator[Picture]:
        while True:
            time.sleep(1 / RATE)
            now = time.monotonic_ns()
            yield Picture(self._image, now, now)

    def close(self) -> None: ...


def open_steady(address: Address, limits: Limits) -> Reader:
    height, width = map(int, dict(parse_qsl(urlsplit(address.uri).query))["size"].split("x"))
    return Steady((height, width))


@click.command()
@click.option("--pictures", default=300)
def main(pictures: int) -> None:
    """Print a table and keep it as JSON."""
    told: dict[str, Any] = {**facts(), "pictures": pictures}
    told["load"] = os.getloadavg()[0]  # others may use the machine
    print("| ms, median (p95) | into the slot and told | heard and copied out | whole way | child's start |")
    print("|---|---:|---:|---:|---:|")
    for name, size_hw in SIZES.items():
        told[name] = row = {**_alone(size_hw, pictures), **_between_processes(size_hw, pictures)}
        cells = [f"{row[part]['p50']:.2f} ({row[part]['p95']:.2f})" for part in ("put", "take", "whole")]
        print(f"| {name} | {' | '.join(cells)} | {row['start_ms']:.0f} |", flush=True)
    write_json(RESULT, told)
    print(told["machine"])


def _alone(size_hw: tuple[int, int], pictures: int) -> dict[str, Any]:
    """Either half, in this process."""
    descriptor = create_ring_file()
    ring = FrameRing(descriptor)
    os.close(descriptor)
    parent, child = messages.socket_pair()
    outbox, image = Outbox(child, ring), next(iter(Steady(size_hw))).image
    put_ms, take_ms = [], []
    for _ in range(pictures):
        started = time.perf_counter()
        outbox.put(Picture(image, 0, 0))
        put_at = time.perf_counter()
        filled = messages.receive(parent)
        assert isinstance(filled, Filled)
        taken = np.array(ring.picture(filled.slot, filled.size_hw))
        messages.send(parent, Freed(filled.slot))
        take_ms.append(1e3 * (time.perf_counter() - put_at))
        put_ms.append(1e3 * (put_at - started))
        del taken
    parent.close()
    child.close()
    return {"put": percentiles(put_ms, TOLD), "take": percentiles(take_ms, TOLD)}


def _between_processes(size_hw: tuple[int, int], pictures: int) -> dict[str, Any]:
    news, ages_ms = Event(), list[float]()
    address = read_address(f"http://camera/?size={size_hw[0]}x{size_hw[1]}")
    camera = Camera("bench", address, FrameCounts(), news.set, factory="benchmarks.handover:open_steady")
    started_s = time.monotonic()
    camera.start()
    start_ms = 0.0
    while len(ages_ms) < pictures:
        news.wait(1.0)
        news.clear()
        if frame := camera.take():
            start_ms = start_ms or 1e3 * (time.monotonic() - started_s) - 1e3 / RATE
            ages_ms.append(1e-6 * (time.monotonic_ns() - frame.received_ns))
    camera.stop(5.0)
    return {"whole": percentiles(ages_ms, TOLD), "start_ms": start_ms}


if __name__ == "__main__":
    main()
