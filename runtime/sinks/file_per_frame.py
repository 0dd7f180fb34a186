"""A file per frame: mask PNGs, JPEGs of the view."""

from __future__ import annotations

import re
from pathlib import Path

import cv2

from fcn_edge.errors import OutputError, UsageError
from fcn_edge.files import require_writable, whole_file
from fcn_edge.labels import LabelSet
from fcn_edge.palette_png import encode_palette_png
from runtime.latency import Stopwatch
from runtime.overlay import Overlay
from runtime.sinks.sink import Segmented, SinkBase, Times
from runtime.sources.frame import Frame

JPEG_QUALITY = 92


class FileSink(SinkBase):
    """One file per frame. The name may hold %06d (the frame's number) and {name} (its file's name without ending)."""

    NUMBER = re.compile(r"%(?:0?\d+)?d")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._taken: set[Path] | None = None if self.NUMBER.search(pattern) else set()  # numbers never repeat
        require_writable(next(folder for folder in Path(pattern).parents if not self._varies(str(folder))))

    def _varies(self, name: str) -> bool:
        return bool(self.NUMBER.search(name)) or "{name}" in name

    def _save(self, frame: Frame, content: bytes) -> None:
        path = self._path(frame)
        if self._taken is not None and path in self._taken:
            raise UsageError(
                f"wanted a file per frame, found {path} twice; name them {path.with_name('%06d' + path.suffix)}"
            )
        if self._taken is not None:
            self._taken.add(path)
        with whole_file(path) as partial:
            partial.write_bytes(content)

    def _path(self, frame: Frame) -> Path:
        numbered = self.NUMBER.sub(lambda number: number.group() % frame.index, self.pattern)
        return Path(numbered.replace("{name}", Path(frame.name).stem))


class MaskSink(FileSink):
    """Palette PNGs whose pixel values are class ids."""

    def __init__(self, pattern: str, labels: LabelSet) -> None:
        super().__init__(pattern)
        self._colours = labels.colours_bgr()

    def write(self, segmented: Segmented) -> Times:
        watch = Stopwatch()
        with watch("encode"):
            png = encode_palette_png(segmented.mask, self._colours)
        with watch("send"):
            self._save(segmented.frame, png)
        return watch.times_ms


class PictureSink(FileSink):
    """JPEGs of the chosen view."""

    def __init__(self, pattern: str, overlay: Overlay, view: str) -> None:
        super().__init__(pattern)
        self.overlay, self.view = overlay, view

    def write(self, segmented: Segmented) -> Times:
        watch = Stopwatch()
        with watch("overlay"):
            picture = self.overlay.draw(segmented.frame.image, segmented.mask, self.view)
        with watch("encode"):
            encoded, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not encoded:
            raise OutputError(f"{self.pattern}: wanted to write a JPEG, found a frame too large for one; write a video")
        with watch("send"):
            self._save(segmented.frame, jpeg.tobytes())
        return watch.times_ms
