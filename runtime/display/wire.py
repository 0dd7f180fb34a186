"""What a stream and its window tell each other over a socket: JSON, and behind it the arrays that it speaks of."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE_BYTES = 4  # of the number before the JSON: how long that is, little-endian

Pixels = NDArray[np.uint8]


class Gone(Exception):
    """The other end is closed."""


def send(end: socket.socket, told: Mapping[str, Any], *arrays: Pixels) -> None:
    """Raises Gone, and TimeoutError by the socket's own limit."""
    head = json.dumps({"told": told, "shapes": [array.shape for array in arrays]}).encode()
    try:
        end.sendall(len(head).to_bytes(SIZE_BYTES, "little") + head)
        for array in arrays:
            end.sendall(np.ascontiguousarray(array).data.cast("B"))
    except TimeoutError:
        raise
    except OSError:
        raise Gone from None


def receive(end: socket.socket) -> tuple[dict[str, Any], list[Pixels]]:
    """The next message, its arrays fresh; raises as `send` does."""
    size = int.from_bytes(_exactly(end, SIZE_BYTES), "little")
    head = json.loads(_exactly(end, size).tobytes())
    return head["told"], [_exactly(end, int(np.prod(shape))).reshape(shape) for shape in head["shapes"]]


def _exactly(end: socket.socket, count: int) -> Pixels:
    content = np.empty(count, np.uint8)
    left = content.data
    while left:
        try:
            came = end.recv_into(left)
        except TimeoutError:
            raise
        except OSError:
            raise Gone from None
        if not came:
            raise Gone
        left = left[came:]
    return content
