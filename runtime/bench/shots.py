"""Where a bench's frames come from: one frame again and again, or picture files, decoded anew each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import SourceError
from fcn_edge.images import list_images, read_image
from runtime.latency import Stopwatch


@dataclass(frozen=True)
class Shot:
    """The next frame (H, W, 3) BGR, and what it took to have it."""

    image: NDArray[np.uint8]
    times_ms: Mapping[str, float] = field(default_factory=dict)


Shots = Callable[[], Shot]  # never ends


def one_frame(image: NDArray[np.uint8]) -> Shots:
    shot = Shot(image)
    return lambda: shot


def pictures(path: Path) -> Shots:
    """A picture, or those of a folder by their names and from the start again: a camera's JPEGs. Raises SourceError."""
    paths = list_images(path) if path.is_dir() else [path]
    if not paths:
        raise SourceError(f"wanted pictures, found none in the folder {path}; check the path")
    endless = cycle(paths)

    def decoded() -> Shot:
        watch = Stopwatch()
        with watch("decode"):
            image = read_image(next(endless))
        return Shot(image, watch.times_ms)

    return decoded
