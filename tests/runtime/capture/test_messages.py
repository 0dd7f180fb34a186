"""runtime.capture.messages: what is said arrives as it was said, whole and apart, or not at all."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.capture.messages import (
    Began,
    Ended,
    Failed,
    Filled,
    Freed,
    Gone,
    Message,
    Opened,
    Order,
    Unusable,
    receive,
    send,
    socket_pair,
)

Ends = tuple[socket.socket, socket.socket]
EVERY: list[Message] = [
    Order("http://user:word@camera/", "module:function", {"stall_s": 5.0, "restart_on_frozen": False}),
    Freed(3),
    Began(),
    Opened(True),
    Unusable({"truncated": 2}, 1),
    Filled(1, (1080, 1920), 2**62, 2**62 + 1, None, 4_000_000_000, {"undecodable": 1}, 7),
    Failed("BUSY", "/dev/video0: another program uses it", "end it; \u00e9"),
    Ended(),
]


@pytest.fixture
def ends() -> Iterator[Ends]:
    pair = socket_pair()
    yield pair
    for end in pair:
        end.close()


def test_every_message_arrives_as_it_was_sent_and_in_order(ends: Ends) -> None:
    assert all(send(ends[0], message) for message in EVERY)
    assert [receive(ends[1]) for _ in EVERY] == EVERY


def test_silence_is_not_waited_for(ends: Ends) -> None:
    assert receive(ends[0]) is None


def test_one_who_does_not_listen_is_not_waited_for(ends: Ends) -> None:
    sent = 0
    while send(ends[0], Began()):
        sent += 1
        assert sent < 100_000
    assert sent > 16  # every slot, with room to spare
    assert receive(ends[1]) == Began()


def test_what_was_said_before_the_end_is_heard_first(ends: Ends) -> None:
    send(ends[0], Freed(1))
    ends[0].close()
    assert receive(ends[1]) == Freed(1)
    with pytest.raises(Gone):
        receive(ends[1])
    with pytest.raises(Gone):
        send(ends[1], Freed(2))


def test_a_closed_end_says_that_it_is_gone(ends: Ends) -> None:
    ends[0].close()
    with pytest.raises(Gone):
        send(ends[0], Freed(1))
    with pytest.raises(Gone):
        receive(ends[0])


@pytest.mark.parametrize(
    "raw", [b"{}", b"[]", b"\xff", b'["Freed", {}]', b'["No", {}]', b'["Freed", 3]', b"[" * 60_000]
)
def test_nonsense_is_a_value_error(ends: Ends, raw: bytes) -> None:
    ends[0].send(raw)
    with pytest.raises(ValueError):
        receive(ends[1])


@given(
    st.binary(min_size=1, max_size=200)
    | st.text(min_size=1, max_size=50).map(lambda text: f'["Filled", {text}]'.encode())
)
def test_any_bytes_are_a_message_or_a_value_error(raw: bytes) -> None:
    one, other = socket_pair()
    with one, other:
        one.send(raw)
        try:
            assert receive(other) is not None
        except ValueError:
            pass
