"""What the part of a source's name after the ? asks of it: `/dev/video0?size=720x1280&rate=30`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fcn_edge import MAX_PIXELS
from fcn_edge.errors import UsageError, printable

FaultKind = Literal["stall", "close", "corrupt", "freeze", "resize"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with a test source, so many seconds after each connect."""

    kind: FaultKind
    at_s: float


@dataclass(frozen=True)
class Wishes:
    """None: as the source gives it."""

    size_hw: tuple[int, int] | None = None
    rate: float | None = None  # frames a second
    format: str | None = None  # of a V4L2 camera: mjpeg, yuyv422, h264, as FFmpeg calls them
    frames: int | None = None  # of a test source: it ends after so many
    seed: int = 0  # of a test source: another one is another street
    faults: tuple[Fault, ...] = ()  # of a test source


def read_wishes(query: str, allowed: Collection[str], example: str) -> Wishes:
    """`size=720x1280&rate=30`; raises UsageError, which shows the example."""
    found: dict[str, Any] = {}
    for part in filter(None, query.split("&")):
        name, _, text = part.partition("=")
        if name not in allowed:
            raise _refused(f"one of {', '.join(allowed)}", name, example)
        field, read, wanted = _READERS[name]
        if field in found:
            raise _refused(f"{name} once", f"{name} twice", example)
        try:
            found[field] = read(text)
        except ValueError:
            raise _refused(f"{name}={wanted}", f"{name}={text}", example) from None
    return Wishes(**found)


def _refused(wanted: str, found: str, example: str) -> UsageError:
    return UsageError(f"wanted {wanted} after the ? of a source, found {printable(found)!r}; write {example}")


def _size(text: str) -> tuple[int, int]:
    height, width = (_whole(number) for number in text.lower().split("x"))
    if not (height and width and height * width <= MAX_PIXELS):
        raise ValueError
    return height, width


def _rate(text: str) -> float:
    rate = float(text) if re.fullmatch(r"\d{1,4}(\.\d{1,6})?", text, re.ASCII) else 0.0
    if not 0 < rate <= 1000:
        raise ValueError
    return rate


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        raise ValueError
    return int(text)


def _format(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]{1,20}", text):
        raise ValueError
    return text


def _faults(text: str) -> tuple[Fault, ...]:
    return tuple(_fault(one) for one in text.split(","))


def _fault(text: str) -> Fault:
    match = re.fullmatch(rf"({'|'.join(get_args(FaultKind))})@(\d{{1,6}}(?:\.\d{{1,3}})?)", text, re.ASCII)
    if not match:
        raise ValueError
    return Fault(match[1], float(match[2]))  # type: ignore[arg-type]  # the pattern allows no other


# name: where it goes, how it is read, what is wanted
_READERS: dict[str, tuple[str, Callable[[str], Any], str]] = {
    "size": ("size_hw", _size, "HEIGHTxWIDTH, at most 50 megapixels"),
    "rate": ("rate", _rate, "frames a second, up to 1000"),
    "format": ("format", _format, "an FFmpeg pixel format or codec, such as mjpeg"),
    "frames": ("frames", _whole, "a count"),
    "seed": ("seed", _whole, "a whole number"),
    "fault": ("faults", _faults, "KIND@SECONDS,... of stall, close, corrupt, freeze, resize"),
}
