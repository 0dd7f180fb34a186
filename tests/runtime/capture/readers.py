"""Readers with every fault, for `Camera(factory=...)`: the part of the address after the last slash names which.

They run in the capture child. What an address asks for after the ? is read by `_asked`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np

from runtime.capture.failure import CaptureFailure
from runtime.capture.lifeline import die_with
from runtime.capture.limits import Limits
from runtime.capture.reader import Picture, Reader, Spoiled
from runtime.sources.address import Address

FACTORY = f"{__name__}:open_fake"
FOREVER_S = 600


def picture(level: int, size_hw: tuple[int, int] = (24, 32), at_s: float | None = None) -> Picture:
    now = time.monotonic_ns()
    return Picture(np.full((*size_hw, 3), level % 256, np.uint8), now, now, at_s)


class Fake:
    """A reader whose pictures are those of a function."""

    rate: float | None = None

    def __init__(self, pictures: Iterator[Picture | Spoiled], finite: bool = False, closed: Path | None = None) -> None:
        self.pictures, self.finite, self.closed = pictures, finite, closed

    def __iter__(self) -> Iterator[Picture | Spoiled]:
        return self.pictures

    def close(self) -> None:
        if self.closed:
            self.closed.write_text("closed")


def open_fake(address: Address, limits: Limits) -> Reader:
    parts = urlsplit(address.uri)
    asked = dict(parse_qsl(parts.query))
    kind = parts.path.strip("/")
    if kind == "refused":
        raise CaptureFailure("CONNECTION_FAILED", f"{address.shown}: no connection", "check the cable")
    if kind == "absent" and not Path(asked["until"]).exists():
        raise CaptureFailure("CONNECTION_FAILED", f"{address.shown}: no connection", "check the cable")
    if kind == "unanswered":
        time.sleep(FOREVER_S)
    if kind == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind == "raising":
        raise RuntimeError(f"could not open {address.uri}")
    closed = Path(asked["closed"]) if "closed" in asked else None
    return Fake(_KINDS.get(kind, steady)(asked), finite="finite" in asked, closed=closed)


def steady(asked: dict[str, str]) -> Iterator[Picture]:
    """`count` pictures (for ever), `rate` a second (50), of `size` (24x32)."""
    count, pause_s = int(asked.get("count", 10**9)), 1 / float(asked.get("rate", 50))
    height, width = map(int, asked.get("size", "24x32").split("x"))
    for index in range(count):
        yield picture(index, (height, width), at_s=index * pause_s)
        time.sleep(pause_s)


def silent(asked: dict[str, str]) -> Iterator[Picture]:
    """`count` pictures (none), then nothing, in a call that no signal of Python's gets through."""
    yield from steady({"count": "0", **asked})
    time.sleep(FOREVER_S)


def once_silent(asked: dict[str, str]) -> Iterator[Picture]:
    """Silent, and steady as soon as the file `until` is there and it is connected anew."""
    back = Path(asked["until"]).exists()
    yield from steady({"count": "1000000000" if back else "3"})
    time.sleep(FOREVER_S)


def crashing(asked: dict[str, str]) -> Iterator[Picture]:
    """A few pictures, then a native crash, or another signal."""
    yield from steady({"count": asked.get("count", "3")})
    print("about to crash at rtsp://user:hunter2@camera/", file=sys.stderr, flush=True)
    os.kill(os.getpid(), int(asked.get("by", signal.SIGSEGV)))
    time.sleep(FOREVER_S)


def frozen(asked: dict[str, str]) -> Iterator[Picture]:
    """The same picture for ever."""
    while True:
        yield picture(77)
        time.sleep(0.02)


def spoiled(asked: dict[str, str]) -> Iterator[Picture | Spoiled]:
    """Good ones, then `bad` spoiled ones in a row, and so on."""
    while True:
        yield from steady({"count": "3"})
        for _ in range(int(asked["bad"])):
            yield Spoiled("truncated")
            time.sleep(0.005)


def spoiled_only(asked: dict[str, str]) -> Iterator[Spoiled]:
    while True:
        yield Spoiled("undecodable")
        time.sleep(0.02)


def changing(asked: dict[str, str]) -> Iterator[Picture]:
    """Another size with every picture, in turns; one of them is larger than any may be."""
    sizes = [(24, 32), (48, 64), (7, 5)] + ([(10_000, 5_001)] if "huge" in asked else [])
    huge = np.broadcast_to(np.zeros(3, np.uint8), (10_000, 5_001, 3))  # no memory behind it
    for index in range(10**9):
        size = sizes[index % len(sizes)]
        yield picture(index, size) if size[0] < 1000 else Picture(huge, time.monotonic_ns(), time.monotonic_ns())
        time.sleep(0.02)


def parent(asked: dict[str, str]) -> Iterator[Picture]:
    """Starts a process of its own, as the reader of CSI sensors does, and names it in a file."""
    started = subprocess.Popen(["sleep", str(FOREVER_S)], preexec_fn=partial(die_with, os.getpid()))
    Path(asked["pid"]).write_text(str(started.pid))
    yield from steady(asked)


def flood(asked: dict[str, str]) -> Iterator[Picture]:
    """As fast as can be."""
    yield from steady({"rate": "1e9", **asked})


def numbered(asked: dict[str, str]) -> Iterator[Picture]:
    """Large pictures, each all of one level, as fast as can be: a torn one has two."""
    for index in range(10**9):
        yield picture(index, (720, 1280))


_KINDS = {
    kind.__name__: kind
    for kind in (silent, once_silent, crashing, frozen, spoiled, spoiled_only, changing, parent, flood, numbered)
}
