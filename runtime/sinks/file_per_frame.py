"""A file per frame: masks as PNG or NPZ, JPEGs of the view."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np

from fcn_edge.errors import OutputError, UsageError
from fcn_edge.files import require_writable, whole_file
from fcn_edge.palette_png import encode_palette_png
from runtime.latency import Stopwatch
from runtime.sinks.disk_space import Floor
from runtime.sinks.series import entries_like
from runtime.sinks.sink import Segmented, SinkBase, SinkContext, Times
from runtime.sources.frame import Frame

JPEG_QUALITY = 92
NUMBER = re.compile(r"%(?:0?\d+)?d")  # %06d


class FileSink(SinkBase):
    """One file per frame. The name may hold %06d (the frame's number) and {name} (its file's name without ending).

    A camera's numbers go on after those that are there already: a restart overwrites nothing.
    """

    def __init__(self, pattern: str, context: SinkContext) -> None:
        self.pattern = pattern
        self._taken: set[Path] | None = None if NUMBER.search(pattern) else set()  # numbers never repeat
        folder = next(folder for folder in Path(pattern).parents if not _varies(str(folder)))
        require_writable(folder)
        self._floor = Floor(folder, context.recording) if context.live else None
        if self._floor:
            self._floor.check()
        self._first = next_number(pattern) if context.live else 0

    def _save(self, frame: Frame, content: bytes) -> None:
        if self._floor and self._floor.is_due():
            self._floor.check()
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
        numbered = NUMBER.sub(lambda number: number.group() % (self._first + frame.index), self.pattern)
        return Path(numbered.replace("{name}", Path(frame.name).stem))


def _varies(name: str) -> bool:
    return bool(NUMBER.search(name)) or "{name}" in name


def next_number(pattern: str) -> int:
    """One more than the highest that stands in the name of a file of this pattern, or 0."""
    parts = Path(pattern).parts
    fixed = next((place for place, part in enumerate(parts) if _varies(part)), len(parts))
    expressions = [_expression(part) for part in parts[fixed:]]
    names = ("/".join(path.parts[fixed - len(parts) :]) for path in entries_like(Path(*parts[:fixed]), expressions))
    matches = (re.fullmatch("/".join(expressions), name) for name in names)
    return max((int(match[1]) for match in matches if match and match.re.groups), default=-1) + 1


def _expression(part: str) -> str:
    """A regular expression for what a part of a pattern becomes, with a group for its number."""
    texts = re.split(r"(%(?:0?[0-9]+)?d|{name})", part)
    return "".join(
        re.escape(text) if place % 2 == 0 else ".+" if text == "{name}" else "([0-9]+)"
        for place, text in enumerate(texts)
    )


class MaskSink(FileSink):
    """Palette PNGs whose pixel values are class ids."""

    def __init__(self, pattern: str, context: SinkContext) -> None:
        super().__init__(pattern, context)
        self._colours = context.labels.colours_bgr()

    def write(self, segmented: Segmented) -> Times:
        watch = Stopwatch()
        with watch("encode"):
            png = encode_palette_png(segmented.mask, self._colours)
        with watch("send"):
            self._save(segmented.frame, png)
        return watch.times_ms


class ArraySink(FileSink):
    """Compressed NPZ files for numpy.

    `mask` (H, W) uint8 of class ids, `index`, `time` in seconds (NaN where the medium has none), `source`, and `names`:
    the label of each class id.
    """

    def __init__(self, pattern: str, context: SinkContext) -> None:
        super().__init__(pattern, context)
        self._names = np.array(context.labels.names)

    def write(self, segmented: Segmented) -> Times:
        watch, frame, file = Stopwatch(), segmented.frame, BytesIO()
        with watch("encode"):
            np.savez_compressed(
                file,
                mask=segmented.mask,
                index=np.int64(frame.index),
                time=np.float64("nan" if frame.time is None else frame.time),
                source=np.str_(frame.source),
                names=self._names,
            )
        with watch("send"):
            self._save(frame, file.getvalue())
        return watch.times_ms


class PictureSink(FileSink):
    """JPEGs of the chosen view."""

    def __init__(self, pattern: str, context: SinkContext) -> None:
        super().__init__(pattern, context)
        self.overlay, self.view = context.overlay(), context.view

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
