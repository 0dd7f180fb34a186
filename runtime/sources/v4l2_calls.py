"""What a V4L2 device says of itself when asked by ioctl; structures and numbers after linux/videodev2.h."""

from __future__ import annotations

import errno
import fcntl
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Ioctl = Callable[[int, int, bytearray], int]
Size = tuple[int, int]

_READ, _BOTH = 2, 3  # of _IOC: what the kernel fills in, and what it reads as well
_CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
_CAN_CAPTURE, _CAN_CAPTURE_PLANES, _HAS_DEVICE_CAPS = 0x1, 0x1000, 0x8000_0000
_DISCRETE = 1  # else a range, from the least over a step to the most
MOST = 500  # of anything: a driver that never ends its list must not keep us


def _number(way: int, number: int, size: int) -> int:
    return way << 30 | size << 16 | ord("V") << 8 | number


_CAPABILITY, _FORMAT, _SIZE, _INTERVAL = (
    struct.Struct(form) for form in ("=16s32s32s6I", "=3I32s5I", "=3I6I2I", "=5I6I2I")
)
QUERYCAP = _number(_READ, 0, _CAPABILITY.size)
ENUM_FMT = _number(_BOTH, 2, _FORMAT.size)
ENUM_FRAMESIZES = _number(_BOTH, 74, _SIZE.size)
ENUM_FRAMEINTERVALS = _number(_BOTH, 75, _INTERVAL.size)


@dataclass(frozen=True)
class Capability:
    """Who a device is."""

    driver: str
    card: str  # its name for people
    bus: str
    captures: bool  # it gives pictures, and not only what it knows of them


@dataclass(frozen=True)
class Device:
    """An open device. Each method raises OSError where it is gone, and lists nothing where it does not tell."""

    fd: int
    ioctl: Ioctl = fcntl.ioctl

    def capability(self) -> Capability:
        answer = bytearray(_CAPABILITY.size)
        self.ioctl(self.fd, QUERYCAP, answer)
        driver, card, bus, _, whole, own, *_ = _CAPABILITY.unpack(answer)
        caps = own if whole & _HAS_DEVICE_CAPS else whole  # of this node, or of all that share its hardware
        return Capability(_text(driver), _text(card), _text(bus), bool(caps & (_CAN_CAPTURE | _CAN_CAPTURE_PLANES)))

    def formats(self) -> Iterator[int]:
        """Four-letter codes as numbers."""
        for index in range(MOST):
            answer = self._ask(ENUM_FMT, _FORMAT, index, _CAPTURE)
            if answer is None:
                return
            yield answer[4]

    def sizes(self, code: int) -> Iterator[tuple[Size, Size]]:
        """Least and most height and width of a format: the same but for devices that scale."""
        for index in range(MOST):
            answer = self._ask(ENUM_FRAMESIZES, _SIZE, index, code)
            if answer is None:
                return
            if answer[2] == _DISCRETE:
                yield (answer[4], answer[3]), (answer[4], answer[3])
            else:
                yield (answer[6], answer[3]), (answer[7], answer[4])
                return

    def rates(self, code: int, size_hw: Size) -> Iterator[float]:
        """Frames a second at a size, or the most where the device takes any."""
        for index in range(MOST):
            answer = self._ask(ENUM_FRAMEINTERVALS, _INTERVAL, index, code, size_hw[1], size_hw[0])
            if answer is None:
                return
            seconds, parts = answer[5], answer[6]  # an interval; of a range, the least
            if seconds:
                yield parts / seconds
            if answer[4] != _DISCRETE:
                return

    def _ask(self, number: int, form: struct.Struct, *question: int) -> tuple[int, ...] | None:
        """None where the list is at its end, or where there is none."""
        answer = bytearray(form.size)
        struct.pack_into(f"={len(question)}I", answer, 0, *question)
        try:
            self.ioctl(self.fd, number, answer)
        except OSError as error:
            if error.errno in _NO_MORE:
                return None
            raise
        return form.unpack(answer)


_NO_MORE = frozenset({errno.EINVAL, errno.ENOTTY})  # no such index; no such question


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "replace")
