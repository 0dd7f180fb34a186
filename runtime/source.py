"""Where frames come from: a video file, one picture, a folder of pictures, a camera.

A source is an iterator of frames.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import SourceError, UsageError
from fcn_edge.images import IMAGE_SUFFIXES, list_images, read_image
from fcn_edge.progress import say


@dataclass(frozen=True)
class Frame:
    """One picture of a source."""

    image: NDArray[np.uint8]  # (H, W, 3) BGR
    index: int  # counts the frames delivered, from 0
    name: str  # of the file it came from, or of the source
    time: Fraction | None = None  # in the medium, seconds from its first frame; None for pictures


class FrameSource(Protocol):
    """Opened frames; iterate once, then close."""

    rate: Fraction | None  # frames a second, where the medium has one
    count: int | None  # frames to come, where known; an estimate for videos
    bad: int  # frames that could not be decoded, so far
    dropped: int  # frames that newer ones replaced before they were asked for; only a live source drops

    def __iter__(self) -> Iterator[Frame]: ...

    def close(self) -> None: ...


class PictureSource:
    """Picture files in order. One alone must be readable; of many, bad ones are told, counted and left out."""

    rate: Fraction | None = None

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths
        self.count: int | None = len(paths)
        self.bad = self.dropped = 0

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        for path in self.paths:
            image = self._read(path)
            if image is not None:
                yield Frame(image, index, path.name)
                index += 1
        if not index:
            raise SourceError(f"wanted at least one readable picture, found none among {len(self.paths)}; convert them")

    def _read(self, path: Path) -> NDArray[np.uint8] | None:
        try:
            return read_image(path)
        except SourceError as error:
            if len(self.paths) == 1:
                raise
            say(f"left out: {error}")
            self.bad += 1
            return None

    def close(self) -> None:
        """Nothing is open between two pictures."""


def open_source(uri: str) -> FrameSource:
    """`0` or `/dev/video0`, `video.mp4`, `folder/`, `image.jpg`; raises SourceError if it is not there."""
    if re.fullmatch(r"\d+|/dev/video\d+", uri):
        from runtime.camera import CameraSource

        return CameraSource(f"/dev/video{uri}" if uri.isdigit() else uri)
    if re.match(r"[a-z][a-z0-9+.-]*://", uri):
        raise UsageError(
            f"wanted a file, a folder or a camera number, found {uri.split('://')[0]}://; this version reads no streams"
        )
    return _open_path(Path(uri))


def _open_path(path: Path) -> FrameSource:
    if path.is_dir():
        pictures = list_images(path)
        if not pictures:
            raise SourceError(f"wanted pictures, found none in the folder {path}; check the path")
        return PictureSource(pictures)
    if not path.is_file():
        raise SourceError(f"wanted a source of frames, found nothing at {path}; check the path")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return PictureSource([path])
    from runtime.video import VideoSource

    return VideoSource(path)
