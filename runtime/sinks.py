"""Where masks go: a video file, mask PNGs, a picture file, JSON lines, a window, nowhere.

A sink has `write`, `finish` and `close`.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.errors import OutputError, UsageError
from fcn_edge.files import require_writable, whole_file, writing
from fcn_edge.labels import LabelSet
from fcn_edge.palette_png import encode_palette_png
from runtime.overlay import Overlay
from runtime.recorder import FORMATS, Recorder
from runtime.source import Frame

JPEG_QUALITY = 92


@dataclass(frozen=True)
class Segmented:
    """A frame with its mask (H, W) uint8 and what each stage took."""

    frame: Frame
    mask: NDArray[np.uint8]
    times_ms: dict[str, float]


class Sink(Protocol):
    """Takes every segmented frame. `finish` after the last good one, `close` always."""

    def write(self, segmented: Segmented) -> None: ...

    def finish(self) -> None: ...

    def close(self) -> None: ...


class SinkBase:
    """A sink that holds nothing open."""

    def finish(self) -> None:
        """Everything is written already."""

    def close(self) -> None:
        """Nothing to give back."""


class NullSink(SinkBase):
    """Drops what it gets: the speed of everything before it."""

    def write(self, segmented: Segmented) -> None:
        """Nothing."""


class VideoSink:
    """The chosen view as a video file."""

    def __init__(self, path: Path, overlay: Overlay, view: str, rate: Fraction | None) -> None:
        self.overlay, self.view = overlay, view
        self._recorder = Recorder(path, rate)

    def write(self, segmented: Segmented) -> None:
        picture = self.overlay.draw(segmented.frame.image, segmented.mask, self.view)
        self._recorder.write(picture, segmented.frame.time, segmented.frame.index)

    def finish(self) -> None:
        self._recorder.finish()

    def close(self) -> None:
        self._recorder.close()


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

    def write(self, segmented: Segmented) -> None:
        self._save(segmented.frame, encode_palette_png(segmented.mask, self._colours))


class PictureSink(FileSink):
    """JPEGs of the chosen view."""

    def __init__(self, pattern: str, overlay: Overlay, view: str) -> None:
        super().__init__(pattern)
        self.overlay, self.view = overlay, view

    def write(self, segmented: Segmented) -> None:
        picture = self.overlay.draw(segmented.frame.image, segmented.mask, self.view)
        encoded, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not encoded:
            raise OutputError(f"{self.pattern}: wanted to write a JPEG, found a frame too large for one; write a video")
        self._save(segmented.frame, jpeg.tobytes())


class JsonSink(SinkBase):
    """A JSON line per frame: number, name, time, size, the share of each class, milliseconds per stage."""

    def __init__(self, labels: LabelSet) -> None:
        self.labels = labels

    def write(self, segmented: Segmented) -> None:
        frame, counts = segmented.frame, np.bincount(segmented.mask.ravel(), minlength=256)
        line = {
            "index": frame.index,
            "name": frame.name,
            "time_s": None if frame.time is None else float(frame.time),
            "size_hw": list(segmented.mask.shape),
            "class_shares": {
                n: round(int(c) / segmented.mask.size, 6) for n, c in zip(self.labels.names, counts, strict=False)
            },
            "times_ms": {stage: round(value, 3) for stage, value in segmented.times_ms.items()},
        }
        self._print(json.dumps(line) + "\n")

    def _print(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class JsonFileSink(JsonSink):
    """The lines in a file, which can be followed while it grows and never ends in half a line."""

    def __init__(self, path: Path, labels: LabelSet) -> None:
        super().__init__(labels)
        self.path = path
        require_writable(path.parent)
        with writing(path):
            self._file = path.open("wb", buffering=0)
        self._whole = 0  # bytes of whole lines

    def _print(self, text: str) -> None:
        line = text.encode()
        with writing(self.path):
            try:
                if self._file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                with suppress(OSError):  # a device cannot be cut, a full disk can
                    os.truncate(self.path, self._whole)
                raise
        self._whole += len(line)

    def close(self) -> None:
        self._file.close()


class WindowClosed(Exception):
    """The viewer has seen enough."""


class DisplaySink(SinkBase):
    """A window; q or closing it ends the stream."""

    TITLE = "fcn-edge"

    def __init__(self, overlay: Overlay, view: str) -> None:
        self.overlay, self.view = overlay, view
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise UsageError(
                "wanted a display for display://, found none (DISPLAY is not set); write a file such as out.mkv"
            )
        try:
            cv2.namedWindow(self.TITLE, cv2.WINDOW_NORMAL)
        except cv2.error:
            raise UsageError(
                "wanted a window, found an OpenCV without any; write a file instead, such as out.mkv"
            ) from None

    def write(self, segmented: Segmented) -> None:
        cv2.imshow(self.TITLE, self.overlay.draw(segmented.frame.image, segmented.mask, self.view))
        closed = cv2.waitKey(1) & 0xFF == ord("q") or cv2.getWindowProperty(self.TITLE, cv2.WND_PROP_VISIBLE) < 1
        if closed:
            raise WindowClosed

    def close(self) -> None:
        cv2.destroyAllWindows()


@dataclass(frozen=True)
class SinkContext:
    """What sinks draw with."""

    labels: LabelSet
    view: str
    alpha: float
    rate: Fraction | None

    def overlay(self) -> Overlay:
        return Overlay(self.labels, self.alpha)


def open_sink(uri: str, context: SinkContext) -> Sink:
    """`display://`, `out.mkv`, `out.mp4`, `masks/%06d.png`, `frames/%06d.jpg`, `json:-`, `json:FILE`, `null:`.

    Raises UsageError for anything else and OutputError where nothing can be written.
    """
    if uri == "null:":
        return NullSink()
    if uri == "display://":
        return DisplaySink(context.overlay(), context.view)
    if uri.startswith("json:"):
        target = uri.removeprefix("json:")
        return JsonSink(context.labels) if target in ("", "-") else JsonFileSink(Path(target), context.labels)
    suffix = Path(uri).suffix.lower()
    if suffix in FORMATS:
        return VideoSink(Path(uri), context.overlay(), context.view, context.rate)
    if suffix == ".png":
        return MaskSink(uri, context.labels)
    if suffix in (".jpg", ".jpeg"):
        return PictureSink(uri, context.overlay(), context.view)
    raise UsageError(
        f"wanted display://, out.mkv, out.mp4, masks/%06d.png, frames/%06d.jpg, json:- or null:, found {uri!r}"
    )
