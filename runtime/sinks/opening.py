"""From a sink's name to a sink."""

from __future__ import annotations

from pathlib import Path

from fcn_edge.errors import UsageError
from runtime.sinks.file_per_frame import MaskSink, PictureSink
from runtime.sinks.json_lines import JsonFileSink, JsonSink
from runtime.sinks.recorder import FORMATS
from runtime.sinks.sink import NONE, Segmented, Sink, SinkBase, SinkContext, Times
from runtime.sinks.video_file import VideoSink
from runtime.sinks.window import DisplaySink


class NullSink(SinkBase):
    """Drops what it gets: the speed of everything before it."""

    def write(self, segmented: Segmented) -> Times:
        return NONE


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
