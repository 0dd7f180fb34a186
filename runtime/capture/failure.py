"""Why a live source cannot be read: a code of a small set, what was found and what to do.

What libraries say is only ever matched, never repeated: it may hold the user's password.
"""

from __future__ import annotations

import errno
import http.client
import re
import socket
import ssl

from runtime.sources.address import Address, Kind
from runtime.stream.status import Reason

# code: what was found, what to do
CODES = {
    "AUTH_FAILED": (
        "it wants a user and password, or others",
        "write them into the address: {scheme}://USER:PASSWORD@...",
    ),
    "NOT_FOUND": ("it answers, but has no such stream", "check the path in the address against the camera's manual"),
    "REDIRECTED": (
        "it sends us on to another address, which is none to follow",
        "write the address of the stream itself; the camera's manual has it",
    ),
    "REFUSED": ("it answers, but gives no stream now", "look at its own status page; it may serve too many already"),
    "HOST_UNKNOWN": ("no machine of that name is known", "check the name, or write its IP address"),
    "CONNECTION_FAILED": ("no connection", "check its power and cable, and the address and port"),
    "CONNECTION_LOST": ("the connection broke", "check the network between here and the camera"),
    "CLOSED": ("it ended its stream", "see whether it restarts by itself, or allows fewer viewers"),
    "TIMEOUT": ("it does not answer in time", "check its power and network; restart it if its own page hangs too"),
    "TLS_FAILED": ("its certificate is not trusted", "name the one to trust: SSL_CERT_FILE=camera.pem"),
    "CODEC_UNSUPPORTED": ("nothing here decodes what it sends", "set the camera to H.264 or MJPEG"),
    "NO_VIDEO": ("what it sends is no video", "check the path in the address against the camera's manual"),
    "NO_DEVICE": ("no such camera", "plug it in; fcn-edge sources lists those that are here"),
    "NO_PERMISSION": ("this user may not open it", "add the user to the group video and log in anew"),
    "BUSY": ("another program uses it", "end that program: fuser -v /dev/video* names it"),
    "MODE_UNSUPPORTED": ("it offers no such size, rate or format", "choose one that fcn-edge sources lists"),
    "PROGRAM_MISSING": ("gst-launch-1.0 is not installed", "sudo apt-get install gstreamer1.0-tools"),
    "READ_FAILED": ("it cannot be read", "see whether another program can; restart the camera"),
}


class CaptureFailure(Exception):
    """A source could not be opened, or was lost. Text and cure hold no credentials."""

    def __init__(self, code: str, text: str, cure: str) -> None:
        super().__init__(text)
        self.code, self.text, self.cure = code, text, cure

    def __reduce__(self) -> tuple[type[CaptureFailure], tuple[str, str, str]]:
        return CaptureFailure, (self.code, self.text, self.cure)

    @property
    def reason(self) -> Reason:
        return Reason(self.code, self.text, self.cure)


def failure(code: str, address: Address, found: str | None = None, cure: str | None = None) -> CaptureFailure:
    """One of CODES, told of this source; `found` and `cure` where more is known than the code says."""
    usual, usual_cure = CODES[code]
    scheme = address.uri.partition("://")[0].lower()
    return CaptureFailure(code, f"{address.shown}: {found or usual}", cure or usual_cure.format(scheme=scheme))


def http_failure(status: int, address: Address) -> CaptureFailure:
    """What an answer of HTTP or RTSP means that is no success."""
    code = _BY_STATUS.get(status, "REDIRECTED" if 300 <= status < 400 else "REFUSED")
    found = "it refuses this user and password" if code == "AUTH_FAILED" and "@" in address.uri else CODES[code][0]
    return failure(code, address, f"{found} (it answers {status})")


def failure_of(error: BaseException, address: Address, *, opening: bool) -> CaptureFailure:
    """What an exception of a socket, of FFmpeg or of a device means."""
    status = re.search(r"Server returned (\d)(\d\d|XX)", str(error))  # FFmpeg
    if status:
        return http_failure(int(status[1] + status[2].replace("X", "0")), address)
    code = _code_of(error, address.kind in (Kind.HTTP, Kind.RTSP), opening)
    return failure(code, address, None if opening else _LATER.get(code))


def _code_of(error: BaseException, over_network: bool, opening: bool) -> str:
    for kind, code in _BY_TYPE:
        if isinstance(error, kind):
            return code
    if by_name := _BY_FFMPEG.get(type(error).__name__):
        return by_name
    number = getattr(error, "errno", None)
    if over_network and (number in _BROKEN or isinstance(error, ConnectionError)):
        return "CONNECTION_FAILED" if opening else "CONNECTION_LOST"
    if number in (errno.EIO, errno.ENODEV, errno.ENXIO) and not over_network:
        return "NO_DEVICE"  # what reading a camera says whose cable was pulled
    return _BY_NUMBER.get(number or 0, "READ_FAILED")


_BY_STATUS = {401: "AUTH_FAILED", 403: "AUTH_FAILED", 407: "AUTH_FAILED"} | dict.fromkeys((404, 410, 454), "NOT_FOUND")
_LATER = {"TIMEOUT": "nothing comes any more", "NO_DEVICE": "it is gone"}  # of one that was read already

_BY_TYPE: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "TLS_FAILED"),
    (socket.gaierror, "HOST_UNKNOWN"),
    (UnicodeError, "HOST_UNKNOWN"),  # no name can be so
    (TimeoutError, "TIMEOUT"),
    (http.client.RemoteDisconnected, "CLOSED"),
    (http.client.IncompleteRead, "CLOSED"),
    (http.client.HTTPException, "NO_VIDEO"),  # it speaks no HTTP
)
# By name, for this file needs no PyAV.
_BY_FFMPEG = {
    "ExitError": "TIMEOUT",  # PyAV's own limit
    "EOFError": "CLOSED",
    "DecoderNotFoundError": "CODEC_UNSUPPORTED",
    "DemuxerNotFoundError": "NO_VIDEO",
    "StreamNotFoundError": "NO_VIDEO",
    "InvalidDataError": "NO_VIDEO",
    "UnknownCodecError": "CODEC_UNSUPPORTED",
}
_BROKEN = frozenset(
    {
        errno.EIO,
        errno.ENODEV,
        errno.ENXIO,
        errno.EPIPE,
        errno.EHOSTUNREACH,
        errno.EHOSTDOWN,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.ECONNRESET,
        errno.ECONNREFUSED,
        errno.ECONNABORTED,
    }
)
_BY_NUMBER = {
    errno.ENOENT: "NO_DEVICE",
    errno.EACCES: "NO_PERMISSION",
    errno.EPERM: "NO_PERMISSION",
    errno.EBUSY: "BUSY",
    errno.EINVAL: "MODE_UNSUPPORTED",
    errno.ETIMEDOUT: "TIMEOUT",
}
