"""A moment as three PNGs: the frame, its mask, and what was seen. Never over a file that is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import OutputError
from fcn_edge.files import require_writable, writing


def save_snapshot(folder: Path, stem: str, pngs: Mapping[str, bytes]) -> str:
    """Writes FOLDER/STEM-KIND.png of every kind; the stem, with a number behind it where it was taken.

    Raises OutputError.
    """
    require_writable(folder)
    stem = next(name for name in _stems(stem) if not any(_path(folder, name, kind).exists() for kind in pngs))
    for kind, content in pngs.items():
        path = _path(folder, stem, kind)
        with writing(path), path.open("xb") as file:
            file.write(content)
    return stem


def png_of(picture: NDArray[np.uint8]) -> bytes:
    """A (H, W, 3) BGR picture as a PNG file; raises OutputError."""
    encoded, content = cv2.imencode(".png", picture)
    if not encoded:
        raise OutputError("wanted to write a PNG, found a picture that OpenCV cannot encode; take a smaller one")
    return content.tobytes()


def _stems(stem: str) -> Iterator[str]:
    yield stem
    yield from (f"{stem}-{number}" for number in count(2))


def _path(folder: Path, stem: str, kind: str) -> Path:
    return folder / f"{stem}-{kind}.png"
