"""From a sink's name to a sink."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from fcn_edge.errors import UsageError
from runtime.sinks.file_per_frame import NUMBER, ArraySink, MaskSink, PictureSink
from runtime.sinks.json_lines import JsonFileSink, JsonSink
from runtime.sinks.recorder import FORMATS
from runtime.sinks.series import Series
from runtime.sinks.sink import NONE, Segmented, Sink, SinkBase, SinkContext, Times
from runtime.sinks.video_file import RecordingSink, VideoSink
from runtime.sinks.window import DisplaySink
from runtime.web.address import read_listen_address

PER_FRAME: Mapping[str, Callable[[str, SinkContext], Sink]] = {
    ".png": MaskSink,
    ".npz": ArraySink,
    ".jpg": PictureSink,
    ".jpeg": PictureSink,
}


BRACES = re.compile(r"\{[^{}]*\}")
SOURCE = "{source}"  # in a sink's name: a sink for each source, by its name
NAME = "{name}"  # in the name of a file per frame: that of the picture it was made of


class Frames(str, Enum):
    """What a source gives, as far as a sink's name must fit it."""

    PICTURE = "a picture"
    FOLDER = "a folder of pictures"
    VIDEO = "a video"
    LIVE = "a camera"


class NullSink(SinkBase):
    """Drops what it gets: the speed of everything before it."""

    def write(self, segmented: Segmented) -> Times:
        return NONE


def open_sink(uri: str, context: SinkContext) -> Sink:
    """`display://`, `out.mkv`, `out.mp4`, `masks/%06d.png`, `masks/%06d.npz`, `frames/%06d.jpg`, `json:-`, `json:FILE`,
    `null:`; of a camera `rec/%Y%m%d-%H%M%S.mkv` too.

    Raises UsageError for anything else and OutputError where nothing can be written.
    """
    if uri == "null:":
        return NullSink()
    if uri == "display://":
        return DisplaySink(context)
    if uri.startswith("http://"):
        from runtime.web.live_page import LivePageSink  # its libraries are an extra of their own

        return LivePageSink(uri, context, context.web)
    if uri.startswith("json:"):
        target = uri.removeprefix("json:")
        return JsonSink(context) if target in ("", "-") else JsonFileSink(Path(target), context)
    suffix = Path(uri).suffix.lower()
    if suffix in FORMATS:
        return RecordingSink(uri, context) if context.live else VideoSink(Path(uri), context)
    if suffix in PER_FRAME:
        return PER_FRAME[suffix](uri, context)
    raise _unknown(uri)


def _unknown(uri: str) -> UsageError:
    if "://" in uri:
        return UsageError(f"wanted a sink, found {uri}; name a second source with --also, and see fcn-edge run --help")
    return UsageError(
        "wanted display://, out.mkv, out.mp4, masks/%06d.png, masks/%06d.npz, frames/%06d.jpg, json:-, "
        f"http://HOST:PORT or null:, found {uri!r}"
    )


def require_sink_name(uri: str, frames: Frames, sources: int = 1) -> None:
    """Raises UsageError where the name alone tells that it cannot take these frames. Opens nothing.

    `sources`: how many there are. What is written to files is told apart by {source} in the name.
    """
    if uri.startswith("http://"):
        read_listen_address(uri)
        return
    if uri in ("null:", "display://"):
        return
    if uri.startswith("json:") and uri != "json:":
        _require_braces(uri, SOURCE)
        return
    suffix = Path(uri).suffix.lower()
    if suffix in FORMATS:
        _require_video_name(uri, frames)
    elif suffix in PER_FRAME:
        _require_frame_name(uri, frames)
    else:
        raise _unknown(uri)
    if sources > 1 and SOURCE not in uri:
        path = Path(uri)
        raise UsageError(
            f"{uri}: wanted a name for each of {sources} sources, found one for all; "
            f"name them {path.with_name(f'{SOURCE}-{path.name}')}"
        )


def path_of(uri: str) -> Path:
    """Where a sink writes, if it writes files; one path for all names of one place."""
    return Path(uri.removeprefix("json:")).resolve()


def require_each_once(uris: Sequence[str]) -> None:
    """Raises UsageError where two sinks are one, under whatever names."""
    paths = [path_of(uri) for uri in uris]
    if twice := next((uri for uri, path in zip(uris, paths, strict=True) if paths.count(path) > 1), None):
        raise UsageError(f"wanted every sink once, found {twice} twice; leave one out")


def _require_video_name(uri: str, frames: Frames) -> None:
    _require_braces(uri, SOURCE)
    if Series(uri).is_timed and frames is not Frames.LIVE:
        raise UsageError(
            f"{uri}: wanted a name without the time, for the source is {frames.value} and only a camera's recordings "
            "are many; name it out.mkv"
        )


def _require_frame_name(uri: str, frames: Frames) -> None:
    """Each of many frames wants a name of its own. (A folder may hold but one picture.)"""
    _require_braces(uri, SOURCE, NAME)
    if unknown := re.search("%[A-Za-z]", NUMBER.sub("", uri)):
        raise UsageError(f"{uri}: wanted %06d for the number of a frame, found {unknown[0]}; leave it out")
    if frames in (Frames.VIDEO, Frames.LIVE) and not NUMBER.search(uri):
        path = Path(uri)
        raise UsageError(
            f"{uri}: wanted a name for each frame of {frames.value}, found one for all; "
            f"name them {path.with_name('%06d' + path.suffix)}"
        )


def _require_braces(uri: str, *known: str) -> None:
    """What stands in braces is what we put something in the place of."""
    if unknown := next((found for found in BRACES.findall(uri) if found not in known), None):
        raise UsageError(f"{uri}: wanted {' or '.join(known)} in braces, found {unknown}; leave it out")
