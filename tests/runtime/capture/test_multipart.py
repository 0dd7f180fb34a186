"""runtime.capture.multipart: pictures out of a stream, however it is cut and however carelessly it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.capture.multipart import MOST_BYTES, MalformedStream, Parts
from tests.runtime.cameras.pictures import clock_jpeg, truncated, zeroed

PICTURES = [clock_jpeg((48, 64), moment) for moment in range(3)]


def in_pieces(pieces: Iterable[bytes]) -> Callable[[int], bytes]:
    """Reads that each give one piece."""
    left = iter(pieces)
    return lambda count: next(left, b"")


def pieces_of(stream: bytes, length: int) -> Iterator[bytes]:
    return (stream[at : at + length] for at in range(0, len(stream), length))


def body(
    pictures: Iterable[bytes], head: str = "--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n"
) -> bytes:
    return b"".join(head.format(len(picture)).encode() + picture + b"\r\n" for picture in pictures)


def read(stream: bytes, length: int = 1 << 16) -> list[bytes]:
    return [data for data, _ in Parts(in_pieces(pieces_of(stream, length)))]


@pytest.mark.parametrize(
    "head",
    [
        "--cut\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
        "--cut\r\nContent-Type: image/jpeg\r\n\r\n",
        "--cut\nContent-type:image/jpeg\n\n",
        "--cut\r\n\r\n",
        "----cut\r\nContent-Type: image/jpeg\r\n\r\n",
        "\r\n--cut\r\ncontent-length:  {} \r\n\r\n",
        "Content-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
    ],
)
@settings(max_examples=25)
@given(length=st.integers(1, 4000))
def test_pictures_come_out_as_they_went_in(head: str, length: int) -> None:
    assert read(body(PICTURES, head), length) == PICTURES


def test_a_picture_need_not_wait_for_the_next_one() -> None:
    """Its end is its own, whether its length is told or not."""
    for head in ("--cut\r\nContent-Length: {}\r\n\r\n", "--cut\r\n\r\n"):
        came = iter(Parts(in_pieces([body(PICTURES[:1], head), b""])))
        assert next(came)[0] == PICTURES[0]


def test_its_moment_is_that_of_its_last_byte() -> None:
    moments = []

    def slow(pieces: list[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            time.sleep(0.02)
            moments.append(time.monotonic_ns())
            yield piece

    stream = body(PICTURES[:1])
    [(_, received_ns)] = Parts(in_pieces(slow([stream[:100], stream[100:400], stream[400:]])))
    assert moments[-1] <= received_ns < moments[-1] + 20_000_000


@pytest.mark.parametrize("damage", [truncated, zeroed, lambda jpeg: jpeg[:-2]])
def test_a_picture_without_end_does_not_take_the_next_one_along(damage: Callable[[bytes], bytes]) -> None:
    spoilt = damage(PICTURES[1])
    came = read(body([PICTURES[0], spoilt, PICTURES[2]], "--cut\r\n\r\n"))
    assert len(came) == 3
    assert (came[0], came[2]) == (PICTURES[0], PICTURES[2])


@pytest.mark.parametrize(
    "stream",
    [
        bytes(20_000),
        b"X: " + b"x" * 20_000,
        b"\r\n" * 20_000,
        b"X: y\r\n" * 20_000,
        b"--cut\r\nContent-Length: -3\r\n\r\n",
        b"--cut\r\nContent-Length: many\r\n\r\n",
        f"--cut\r\nContent-Length: {MOST_BYTES + 1}\r\n\r\n".encode(),
        b"--cut\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    ],
    ids=["zeros", "a long line", "empty lines", "headers", "negative", "a word", "too many", "a number like a book"],
)
def test_what_is_no_such_stream_is_refused(stream: bytes) -> None:
    with pytest.raises(MalformedStream):
        read(stream)


def test_a_picture_that_never_ends_is_refused() -> None:
    endless = iter(lambda: bytes(1 << 20), b"")
    head = b"--cut\r\n\r\n" + PICTURES[0][:300]
    taken = [0]

    def pieces() -> Iterator[bytes]:
        yield head
        for piece in endless:
            taken[0] += len(piece)
            yield piece

    with pytest.raises(MalformedStream):
        next(iter(Parts(in_pieces(pieces()))))
    assert taken[0] <= MOST_BYTES + (2 << 20)


def test_a_stream_cut_in_a_picture_ends() -> None:
    assert read(body(PICTURES)[:-500]) == PICTURES[:-1]


@given(st.binary(max_size=3000))
def test_any_bytes_end_or_are_refused(stream: bytes) -> None:
    try:
        read(stream)
    except MalformedStream:
        pass
