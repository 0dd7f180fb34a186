"""From a path to the frames of its file or folder. (Live sources: `capture`.)"""

from __future__ import annotations

from pathlib import Path

from fcn_edge.errors import SourceError
from fcn_edge.images import IMAGE_SUFFIXES, list_images
from runtime.sources.frame import FrameSource
from runtime.sources.pictures import PictureSource


def open_path(path: Path) -> FrameSource:
    """`video.mp4`, `folder/`, `image.jpg`; raises SourceError if it is not there."""
    require_there(path)
    if path.is_dir():
        pictures = list_images(path)
        if not pictures:
            raise SourceError(f"wanted pictures, found none in the folder {path}; check the path")
        return PictureSource(pictures)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return PictureSource([path])
    from runtime.sources.video import VideoSource

    return VideoSource(path)


def require_there(path: Path) -> None:
    """Raises SourceError where no file or folder is. Opens nothing."""
    if not (path.is_dir() or path.is_file()):
        raise SourceError(f"wanted a source of frames, found nothing at {path}; check the path")
