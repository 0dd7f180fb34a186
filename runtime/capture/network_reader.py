"""Video that FFmpeg reads through PyAV: RTSP, and over HTTP whatever is not MJPEG."""

from __future__ import annotations

import math
import re
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from fcn_edge import MAX_PIXELS
from fcn_edge.credentials import Credentials, split_credentials
from runtime.capture.failure import CaptureFailure, failure, failure_of
from runtime.capture.jpeg import picture_of_jpeg
from runtime.capture.limits import Limits
from runtime.capture.read_ahead import Arrived, ReadAhead
from runtime.capture.reader import Picture, Spoiled
from runtime.sources.address import Address, Kind

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
GREETING_S = 2.0  # for a look at why a connection failed
PATIENCE_S = 0.5  # a picture that waited longer for the decoder is left out when a key frame came after it
CLOSE_S = 0.3  # for the packet that is on its way
KEPT_ARRIVALS = 64  # packets that a decoder may hold back

# What FFmpeg may speak to follow an address: a playlist must not lead to this machine's files.
PROTOCOLS = {
    Kind.RTSP: "rtsp,rtsps,rtp,rtcp,srtp,udp,tcp,tls,http,https",
    Kind.HTTP: "http,https,httpproxy,tcp,tls,crypto",
}


def open_network(address: Address, limits: Limits) -> FFmpegReader:
    """Connected, and its codec known; raises CaptureFailure."""
    url, options = _url_and_options(address)
    started = time.monotonic()
    try:
        # PyAV's second limit is that of each read.
        container = av.open(url, options=options, timeout=(limits.connect_s, limits.stall_s))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if time.monotonic() - started >= limits.connect_s:  # FFmpeg says many things when it is interrupted
            raise failure("TIMEOUT", address) from None
        raise _failure_of(error, address, url) from None
    return FFmpegReader(address, container)


def _url_and_options(address: Address) -> tuple[str, dict[str, str]]:
    bare, credentials = split_credentials(address.target)
    options = {"protocol_whitelist": PROTOCOLS[address.kind], "fflags": "discardcorrupt", "tls_verify": "1"}
    if trusted := ssl.get_default_verify_paths().cafile:
        options["ca_file"] = trusted
    if address.kind is Kind.RTSP:
        transport = "udp" if bare.lower().startswith("rtsp+udp:") else "tcp"
        bare = re.sub(r"(?i)\+udp", "", bare, count=1) if transport == "udp" else bare
        options |= {"rtsp_transport": transport, "allowed_media_types": "video"}
        # The codec is looked into for half a second and no frames are counted, or the first picture came a second late.
        options |= {"analyzeduration": "500000", "fpsprobesize": "0"}
    return _with_credentials(bare, credentials), options


def _with_credentials(url: str, credentials: Credentials | None) -> str:
    """FFmpeg takes them in the URL only, each letter escaped."""
    if credentials is None:
        return url
    scheme, rest = url.split("://", 1)
    return f"{scheme.lower()}://{quote(credentials.user, safe='')}:{quote(credentials.password, safe='')}@{rest}"


def _failure_of(error: BaseException, address: Address, url: str) -> CaptureFailure:
    """FFmpeg says "Input/output error" of a name that nobody knows and of a certificate that nobody trusts."""
    if type(error).__name__ == "OSError":
        try:
            _greet(url)
        except OSError as cause:
            return failure_of(cause, address, opening=True)
    return failure_of(error, address, opening=True)


def _greet(url: str) -> None:
    """As far as FFmpeg must have come, by Python's means; raises OSError with a cause that can be told."""
    parts = urlsplit(url)
    secure = parts.scheme.lower() in ("rtsps", "https")
    port = parts.port or PORTS[parts.scheme.lower()]
    with socket.create_connection((parts.hostname or "", port), timeout=GREETING_S) as connection:
        if secure:
            ssl.create_default_context().wrap_socket(connection, server_hostname=parts.hostname).close()


class FFmpegReader:
    """Decoded pictures of the first video stream, from its first key frame on."""

    def __init__(self, address: Address, container: Any) -> None:
        self._address, self._container = address, container
        if not container.streams.video:
            container.close()
            raise failure("NO_VIDEO", address)
        self._stream = container.streams.video[0]
        self._is_jpeg = self._stream.codec_context.name == "mjpeg"
        self._stream.thread_type = "SLICE"  # threads that take a frame each would hold back as many frames
        self._stream.codec_context.flags |= av.codec.context.Flags.low_delay
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame, while the size stays
        self._arrivals: OrderedDict[int | None, int] = OrderedDict()  # when the bytes of each time stamp were here
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate: float | None = float(rate) if rate else None
        # A file on a server comes as fast as the network can. It is shown as fast as it was filmed, and may end.
        self.finite = address.kind is Kind.HTTP and bool(container.duration)
        self._ahead = ReadAhead(self._arriving(), math.inf if self.finite else 0.0 if self._is_jpeg else PATIENCE_S)

    def __iter__(self) -> Iterator[Picture | Spoiled]:
        pace = _Pace() if self.finite else None
        started = self._is_jpeg
        for arrived in self._ahead:
            for came in self._pictures(arrived.content, arrived.received_ns):
                started = started or isinstance(came, Picture)
                if pace and isinstance(came, Picture):
                    pace.wait(came.time)
                    came = replace(came, received_ns=time.monotonic_ns(), decoded_ns=time.monotonic_ns())
                if isinstance(came, Picture):
                    came = replace(came, skipped=self._ahead.take_skipped())
                if started:  # what comes before the first key frame needs pictures that never came, and is no damage
                    yield came

    def _arriving(self) -> Iterator[Arrived[Any]]:
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.EOFError):
                break
            except (av.error.FFmpegError, OSError) as error:
                raise failure_of(error, self._address, opening=False) from None
            if packet.size or not self._is_jpeg:  # the last one is empty, and asks the decoder for what it held back
                yield Arrived(packet, time.monotonic_ns(), bool(packet.is_keyframe))
        if not self.finite:
            raise self._end()

    def _pictures(self, packet: Any, received_ns: int) -> Iterator[Picture | Spoiled]:
        if self._is_jpeg:
            yield picture_of_jpeg(bytes(packet), received_ns, _seconds(packet.pts, packet.time_base))
            return
        self._note(packet.pts, received_ns)
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            yield Spoiled("undecodable")
            return
        for frame in frames:
            yield self._picture(frame, self._arrivals.pop(frame.pts, received_ns))

    def _note(self, pts: int | None, received_ns: int) -> None:
        self._arrivals[pts] = received_ns
        if len(self._arrivals) > KEPT_ARRIVALS:
            self._arrivals.popitem(last=False)

    def _picture(self, frame: Any, received_ns: int) -> Picture | Spoiled:
        if frame.is_corrupt:
            return Spoiled("corrupt")
        if frame.width * frame.height > MAX_PIXELS:
            return Spoiled("too_large")
        image = np.asarray(self._reformatter.reformat(frame, format="bgr24").to_ndarray(), np.uint8)
        return Picture(image, received_ns, time.monotonic_ns(), _seconds(frame.pts, frame.time_base))

    def _end(self) -> CaptureFailure:
        """What it means that nothing more comes, for one that should go on for ever."""
        return failure("CLOSED", self._address)

    def close(self) -> None:
        if self._ahead.stop(CLOSE_S):  # else it ends with the process: nothing interrupts a native read
            self._container.close()


class _Pace:
    """Waits until a moment of the medium is due, counted from the first one."""

    def __init__(self) -> None:
        self._offset_s: float | None = None  # from the medium's clock to ours

    def wait(self, at_s: float | None) -> None:
        if at_s is None:
            return
        if self._offset_s is None:
            self._offset_s = time.monotonic() - at_s
        time.sleep(max(0.0, self._offset_s + at_s - time.monotonic()))


def _seconds(pts: int | None, time_base: Any) -> float | None:
    return float(pts * time_base) if pts is not None and time_base else None
