"""runtime.display.wire: what goes in at one end comes out at the other, whole, or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from runtime.display import wire


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        one.settimeout(5)
        other.settimeout(5)
        yield one, other


def test_words_and_pictures_of_any_size_arrive_as_they_were(ends: tuple[socket.socket, socket.socket]) -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.integers(0, 256, shape, np.uint8) for shape in ((1080, 1920, 3), (360, 480), (1, 1))]
    arrays.append(arrays[0][::2, ::-1])  # in no order that memory has
    sender = threading.Thread(target=lambda: wire.send(ends[0], {"source": "Tür 1", "n": 3}, *arrays))
    sender.start()
    told, came = wire.receive(ends[1])
    sender.join()
    assert told == {"source": "Tür 1", "n": 3}
    assert all(np.array_equal(one, other) for one, other in zip(arrays, came, strict=True))


def test_messages_stay_apart(ends: tuple[socket.socket, socket.socket]) -> None:
    for number in range(5):
        wire.send(ends[0], {"n": number}, np.full((2, number + 1), number, np.uint8))
    for number in range(5):
        told, (array,) = wire.receive(ends[1])
        assert told == {"n": number} and array.tolist() == [[number] * (number + 1)] * 2


def test_an_end_that_is_gone_is_told(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[0].sendall(b"\1\0")  # in the middle of a message
    ends[0].close()
    with pytest.raises(wire.Gone):
        wire.receive(ends[1])
    with pytest.raises(wire.Gone):
        wire.send(ends[1], {}, np.zeros((1000, 1000), np.uint8))


def test_nobody_waits_for_ever(ends: tuple[socket.socket, socket.socket]) -> None:
    ends[0].settimeout(0.1)
    with pytest.raises(TimeoutError):
        wire.receive(ends[0])
    with pytest.raises(TimeoutError):
        wire.send(ends[0], {}, np.zeros((3000, 3000), np.uint8))
