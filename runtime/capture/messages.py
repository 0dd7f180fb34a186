"""What a capture child and its parent tell each other: one JSON object a message, over a socket that keeps messages
apart. Pictures themselves lie in the shared memory."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

MOST_BYTES = 65536  # of one message
READER_FAILED = "READER_FAILED"  # the code of a `Failed` that is our own bug, and no fault of the camera


@dataclass(frozen=True)
class Order:
    """The parent's first word: what to open, by which `module:function`."""

    uri: str  # in no command line, which everybody may read: it may hold a password
    factory: str
    limits: Mapping[str, Any]


@dataclass(frozen=True)
class Freed:
    """From the parent: the slot is the child's again."""

    slot: int


@dataclass(frozen=True)
class Began:
    """From the child: it runs, and opens the source now."""


@dataclass(frozen=True)
class Opened:
    """From the child: the source is connected."""

    finite: bool  # its end is no fault


@dataclass(frozen=True)
class Unusable:
    """From the child: what came since its last message and was not handed over."""

    spoiled: Mapping[str, int] = field(default_factory=dict)  # by why
    dropped: int = 0  # good pictures for which no slot was free


@dataclass(frozen=True)
class Filled:
    """From the child: a slot holds a picture, and is the parent's now."""

    slot: int
    size_hw: tuple[int, int]
    received_ns: int
    decoded_ns: int
    time: float | None  # seconds in the medium
    content: int | None  # a sum of it, now and then: the same twice is the same picture
    spoiled: Mapping[str, int] = field(default_factory=dict)
    dropped: int = 0


@dataclass(frozen=True)
class Failed:
    """From the child, its last: why the source cannot be read any more."""

    code: str
    text: str
    cure: str


@dataclass(frozen=True)
class Ended:
    """From the child, its last: the source came to its end."""


Message: TypeAlias = Order | Freed | Began | Opened | Unusable | Filled | Failed | Ended
_KINDS = {kind.__name__: kind for kind in (Order, Freed, Began, Opened, Unusable, Filled, Failed, Ended)}


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Both ends of a new connection; neither ever waits."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


class Gone(Exception):
    """The other end is closed."""


def send(end: socket.socket, message: Message) -> bool:
    """Whole, or False where the other one is not listening; raises Gone."""
    try:
        end.send(json.dumps([type(message).__name__, asdict(message)]).encode())
    except BlockingIOError:
        return False
    except OSError:
        raise Gone from None
    return True


def receive(end: socket.socket) -> Message | None:
    """The next one, or None where none is there; raises Gone, and ValueError for nonsense."""
    try:
        raw = end.recv(MOST_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        raise Gone from None
    if not raw:
        raise Gone
    return _decoded(raw)


def _decoded(raw: bytes) -> Message:
    try:
        name, fields = json.loads(raw)
        if "size_hw" in fields:
            height, width = fields["size_hw"]
            fields["size_hw"] = int(height), int(width)
        message: Message = _KINDS[name](**fields)
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"no message: {error}") from None
    return message
