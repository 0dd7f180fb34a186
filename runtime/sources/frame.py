"""What a source gives: frames, each with its place in the medium and the moments of its way so far."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Frame:
    """One picture of a source. Moments are `time.monotonic_ns()`, one clock for every process of a machine."""

    image: NDArray[np.uint8]  # (H, W, 3) BGR
    index: int  # counts the frames delivered, from 0
    name: str  # of the file it came from, or of the source
    time: Fraction | None = None  # in the medium, seconds from its first frame; None for pictures
    # Of a frame on its way through a stream:
    source: str = ""  # which of several sources, by its name
    received_ns: int = 0  # when its bytes were complete (of a file: when it was asked for): its age counts from here
    decoded_ns: int = 0  # when it was a picture


class FrameSource(Protocol):
    """Opened frames of a medium that waits: a file, a folder. Iterate once, in order, then close."""

    rate: Fraction | None  # frames a second, where the medium has one
    count: int | None  # frames to come, where known; an estimate for videos
    bad: int  # frames that could not be decoded, so far

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...
