"""The capture child: opens one source and puts its pictures into shared memory. A native read cannot be interrupted
and native code may crash, so both happen here, where the parent can kill them. It waits for nothing but its camera."""

from __future__ import annotations

import os
import signal
import socket
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from time import monotonic
from types import FrameType
from typing import NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from fcn_edge import MAX_PIXELS
from fcn_edge.errors import printable
from runtime.capture import messages
from runtime.capture.failure import CaptureFailure
from runtime.capture.frame_ring import SLOTS, FrameRing
from runtime.capture.lifeline import die_with
from runtime.capture.limits import Limits
from runtime.capture.messages import (
    READER_FAILED,
    Began,
    Ended,
    Failed,
    Filled,
    Freed,
    Message,
    Opened,
    Order,
    Unusable,
)
from runtime.capture.reader import Picture, Reader, Spoiled
from runtime.sources.address import Address, read_address

Factory = Callable[[Address, Limits], Reader]

SUM_EVERY_S = 0.5  # how often a picture's content is summed up
SUM_ROWS = 16  # one row of so many is looked at: a fraction of a millisecond, and what moves is higher than that
TELL_S = 1.0  # the parent that has not listened for so long to the last word will not hear it


class Outbox:
    """Hands pictures to the parent. Where no slot is free, or nobody listens, a picture is dropped and counted.

    Every method raises `messages.Gone` where the parent is gone.
    """

    def __init__(self, parent: socket.socket, ring: FrameRing) -> None:
        self._parent, self._ring = parent, ring
        self._free = set(range(SLOTS))
        self._spoiled: Counter[str] = Counter()  # and not told yet
        self._dropped = 0
        self._sum_due_s = 0.0

    def put(self, picture: Picture) -> None:
        """Copies it."""
        self._dropped += picture.skipped
        size_hw = picture.image.shape[:2]
        if size_hw[0] * size_hw[1] > MAX_PIXELS:
            return self.spoil("too_large")
        self._take_back()
        if not self._free:
            self._dropped += 1
            return
        slot = self._free.pop()
        np.copyto(self._ring.picture(slot, size_hw), picture.image, casting="no")
        moments = picture.received_ns, picture.decoded_ns, picture.time
        content = self._sum(picture.image)
        if not self.tell(Filled(slot, size_hw, *moments, content, dict(self._spoiled), self._dropped)):
            self._free.add(slot)
            self._dropped += 1

    def spoil(self, why: str) -> None:
        self._spoiled[why] += 1
        self.tell(Unusable(dict(self._spoiled), self._dropped))

    def tell(self, message: Message) -> bool:
        told = messages.send(self._parent, message)
        if told and isinstance(message, Filled | Unusable):
            self._spoiled.clear()
            self._dropped = 0
        return told

    def tell_last(self, message: Failed | Ended) -> None:
        """After what is not told yet."""
        self._parent.settimeout(TELL_S)
        if self._spoiled or self._dropped:
            self.tell(Unusable(dict(self._spoiled), self._dropped))
        self.tell(message)

    def _take_back(self) -> None:
        while message := messages.receive(self._parent):
            if isinstance(message, Freed):
                self._free.add(message.slot)

    def _sum(self, image: NDArray[np.uint8]) -> int | None:
        now = monotonic()
        if now < self._sum_due_s:
            return None
        self._sum_due_s = now + SUM_EVERY_S
        return zlib.crc32(np.ascontiguousarray(image[::SUM_ROWS]).data)


def main(parent_pid: int, socket_fd: int, ring_fd: int) -> NoReturn:
    """Never returns, and skips the libraries' own endings, which may hang or crash."""
    try:
        die_with(parent_pid)
        os.dup2(2, 1)  # what a library prints is for the parent's log
        ring = FrameRing(ring_fd)
        os.close(ring_fd)
        _capture(socket.socket(fileno=socket_fd), ring)
    except (SystemExit, messages.Gone):  # told to go, or nobody is there to tell
        pass
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _capture(parent: socket.socket, ring: FrameRing) -> None:
    order = messages.receive(parent)  # it was sent before this process was started
    assert isinstance(order, Order)
    outbox = Outbox(parent, ring)
    outbox.tell(Began())
    with ExitStack() as opened:  # the reader is closed, which may take its time, when all is told
        signal.signal(signal.SIGTERM, _leave)
        last = _read(order, outbox, opened)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it leaves already
        outbox.tell_last(last)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit


def _read(order: Order, outbox: Outbox, opened: ExitStack) -> Failed | Ended:
    """Every picture of the source, until it fails or ends."""
    address = read_address(order.uri)
    try:
        reader = _factory(order.factory)(address, Limits(**order.limits))
        opened.callback(reader.close)
        outbox.tell(Opened(reader.finite))
        for came in reader:
            if isinstance(came, Spoiled):
                outbox.spoil(came.why)
            else:
                outbox.put(came)
    except CaptureFailure as failure:
        return Failed(failure.code, printable(failure.text), printable(failure.cure))
    except messages.Gone:
        raise
    except Exception as error:  # our bug, and still no reason to end more than this attempt
        traceback.print_exc()
        found = f"{printable(address.shown)}: its reader failed with {type(error).__name__}"
        return Failed(READER_FAILED, found, "see what it printed last, and report it")
    return Ended()


def _factory(name: str) -> Factory:
    module, _, function = name.partition(":")
    return cast(Factory, getattr(import_module(module), function))
