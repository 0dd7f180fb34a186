"""From a source's name to its frames."""

from __future__ import annotations

import re
from pathlib import Path

from fcn_edge.errors import SourceError, UsageError
from fcn_edge.images import IMAGE_SUFFIXES, list_images
from runtime.sources.frame import FrameSource
from runtime.sources.pictures import PictureSource


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
    from runtime.sources.video import VideoSource

    return VideoSource(path)
