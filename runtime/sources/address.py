"""From what the user typed to which kind of source it names. Opens nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from fcn_edge.credentials import redact, split_credentials
from fcn_edge.errors import UsageError, printable
from runtime.sources.wishes import Wishes, read_wishes


class Kind(str, Enum):
    """How a source is read."""

    V4L2 = "v4l2"  # a camera of this machine
    CSI = "csi"  # a sensor on a Jetson's ribbon cable
    RTSP = "rtsp"
    HTTP = "http"
    TEST = "test"  # a street that we draw
    PATH = "path"  # a video, a picture or a folder of pictures: waits for whoever reads it


@dataclass(frozen=True)
class Address:
    """A source by name."""

    kind: Kind
    uri: str = field(repr=False)  # as typed: it may hold credentials
    shown: str  # for everybody to see
    target: str = field(repr=False)  # device, sensor number, URL or path, without what `wishes` took from it
    wishes: Wishes = field(default_factory=Wishes)

    @property
    def is_live(self) -> bool:
        """It goes on whether it is read or not."""
        return self.kind is not Kind.PATH


_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://")
_KINDS = {
    "rtsp": Kind.RTSP,
    "rtsps": Kind.RTSP,
    "rtsp+udp": Kind.RTSP,
    "http": Kind.HTTP,
    "https": Kind.HTTP,
    "csi": Kind.CSI,
    "test": Kind.TEST,
}
# Of who meant an address, and whose name of it is none.
_SLIP = re.compile(r"([^/=]*=)?(rtsps?|https?|csi|test)(\+udp)?(:/{0,2}|//)", re.IGNORECASE)
# Whatever udev calls a camera stands in /dev, where no videos lie but in shared memory and behind open descriptors.
_CAMERA = re.compile(r"(\d+|/dev/(?!shm/|fd/|std|null$|zero$)[^?]+)(?:\?(.*))?", re.ASCII)


def read_address(uri: str) -> Address:
    """`0`, `/dev/video0`, `csi://0`, `rtsp://`, `http(s)://`, `test://`, or a path; raises UsageError for no such."""
    if camera := _CAMERA.fullmatch(uri):
        return _camera(uri, camera[1], camera[2] or "")
    if not (scheme := _SCHEME.match(uri)):
        return _path(uri)
    kind = _KINDS.get(scheme[1].lower())
    if kind is None:
        raise UsageError(
            f"wanted a source as 0, /dev/video0, csi://0, rtsp://, http://, test:// or a path, "
            f"found {printable(scheme[0])}; see fcn-edge run --help"
        )
    if kind is Kind.CSI:
        return _sensor(uri, uri[scheme.end() :])
    if kind is Kind.TEST:
        return _pattern(uri, uri[scheme.end() :])
    return _network(kind, uri, scheme[1].lower())


def _path(uri: str) -> Address:
    slip = _SLIP.match(uri)
    if not uri or (slip and not Path(uri).exists()):
        found = repr(slip[0]) if slip else "an empty name"
        raise UsageError(f"wanted a source, found {found}; write rtsp://HOST/PATH, or the path of a file")
    return Address(Kind.PATH, uri, redact(uri), uri)


def _camera(uri: str, device: str, query: str) -> Address:
    path = f"/dev/video{int(device)}" if device.isdigit() else device
    wishes = read_wishes(query, ("size", "rate", "format"), f"{path}?size=720x1280&rate=30&format=mjpeg")
    return Address(Kind.V4L2, uri, path, path, wishes)


def _sensor(uri: str, rest: str) -> Address:
    number, _, query = rest.partition("?")
    if not re.fullmatch(r"\d{1,3}", number, re.ASCII):
        raise UsageError(f"wanted the number of a sensor, found csi://{printable(number)}; write csi://0")
    wishes = read_wishes(query, ("size", "rate"), f"csi://{number}?size=720x1280&rate=30")
    return Address(Kind.CSI, uri, f"csi://{number}", number, wishes)


def _pattern(uri: str, rest: str) -> Address:
    name, _, query = rest.partition("?")
    if name not in ("", "street"):
        raise UsageError(f"wanted test:// or test://street, found test://{printable(name)}; it draws only streets")
    wishes = read_wishes(query, ("size", "rate", "frames", "seed", "fault"), "test://?size=360x480&rate=30")
    return Address(Kind.TEST, uri, uri, "street", wishes)


def _network(kind: Kind, uri: str, scheme: str) -> Address:
    # `shown` hides word by word, so an address must be one.
    if not uri.isprintable() or " " in uri:
        raise UsageError(f"wanted an address without spaces, found one in {scheme}://...; write %20 for a space")
    bare, _ = split_credentials(uri)
    host = re.split(r"[/?#]", bare.split("://", 1)[1], maxsplit=1)[0]
    named = re.fullmatch(r"(?:\[[0-9a-fA-F:.%]+\]|[^:\[\]]+)(?::(\d{1,5}))?", host, re.ASCII)
    if not named or not 0 < int(named[1] or 1) < 65536:
        raise UsageError(f"wanted a host after {scheme}://, found none that can be; write {scheme}://HOST:PORT/PATH")
    return Address(kind, uri, redact(uri), uri)
