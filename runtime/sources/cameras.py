"""The cameras of this machine, and what each of them offers."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fcn_edge.errors import printable
from runtime.sources.v4l2_calls import Device, Ioctl, Size

# What `?format=` calls them, which is FFmpeg's word. What is not here cannot be asked for.
FORMATS = {
    "MJPG": "mjpeg",
    "JPEG": "mjpeg",
    "H264": "h264",
    "HEVC": "hevc",
    "YUYV": "yuyv422",
    "UYVY": "uyvy422",
    "NV12": "nv12",
    "YU12": "yuv420p",
    "RGB3": "rgb24",
    "BGR3": "bgr24",
    "GREY": "gray",
}
TEGRA = "tegra-video"  # the driver behind a Jetson's sensors, whose raw pictures Argus turns into ones to look at
GROUP_CURE = "add the user to the group video and log in anew"


@dataclass(frozen=True)
class Mode:
    """One size of one format, and its rates."""

    format: str
    size_hw: Size
    rates: tuple[float, ...]  # frames a second, most first; of a device that takes any, the most
    up_to_hw: Size | None = None  # of one that takes any size from size_hw to this


@dataclass(frozen=True)
class CameraFound:
    """A camera as `fcn-edge run` names it, or what keeps us from it."""

    source: str
    name: str = ""
    bus: str = ""
    modes: tuple[Mode, ...] = field(default=())
    problem: str | None = None


def find_cameras(root: Path = Path("/"), ioctl: Ioctl = fcntl.ioctl) -> list[CameraFound]:
    """Cameras below /dev, in the order of their numbers. Each is opened for a moment; who reads it feels nothing."""
    nodes = sorted(
        (node for node in (root / "dev").glob("video*") if node.name[5:].isdigit()), key=lambda node: int(node.name[5:])
    )
    names = _lasting_names(root)
    found, sensors = [], 0
    for node in nodes:
        source = names.get(node.name, f"/dev/{node.name}")
        camera, is_sensor = _look(node, source, f"csi://{sensors}", ioctl)
        sensors += is_sensor
        found += [camera] if camera else []
    return found


def _lasting_names(root: Path) -> dict[str, str]:
    """By node, a name that it keeps when it is plugged in anew: by what it is, else by its socket."""
    names: dict[str, str] = {}
    for folder in ("by-id", "by-path"):
        for link in sorted((root / "dev/v4l" / folder).glob("*")):
            names.setdefault(Path(os.path.realpath(link)).name, f"/dev/v4l/{folder}/{link.name}")
    return names


def _look(node: Path, source: str, sensor: str, ioctl: Ioctl) -> tuple[CameraFound | None, bool]:
    """The camera behind a node, if it is one, and whether it is a Jetson's sensor."""
    try:
        fd = os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return CameraFound(source, problem=_problem(error)), False
    try:
        return _describe(Device(fd, ioctl), source, sensor)
    except OSError as error:
        return CameraFound(source, problem=_problem(error)), False
    finally:
        os.close(fd)


def _describe(device: Device, source: str, sensor: str) -> tuple[CameraFound | None, bool]:
    told = device.capability()
    if not told.captures:
        return None, False
    name, bus = printable(told.card), printable(told.bus)
    if told.driver == TEGRA:
        return CameraFound(sensor, name, bus), True
    return CameraFound(source, name, bus, tuple(_modes(device))), False


def _modes(device: Device) -> Iterator[Mode]:
    for code in device.formats():
        letters = code.to_bytes(4, "little").decode("latin-1").rstrip()
        for least, most in device.sizes(code):
            rates = tuple(sorted(set(device.rates(code, most)), reverse=True))
            yield Mode(FORMATS.get(letters, printable(letters)), least, rates, None if least == most else most)


def _problem(error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not open it; {GROUP_CURE}"
    if error.errno == errno.EBUSY:
        return "another program keeps it; end that program"
    return f"it cannot be opened: {error.strerror}; plug it in anew"
