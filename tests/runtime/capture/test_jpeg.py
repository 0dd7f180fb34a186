"""runtime.capture.jpeg: what a decoder would call good is judged by its bytes and by its rows."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.capture.jpeg import damage_of, jpeg_end, picture_of_jpeg
from runtime.capture.reader import Picture, Spoiled
from tests.runtime.cameras.pictures import clock_jpeg, cut_out, jpeg_of, street, truncated, zeroed

WHOLE = clock_jpeg((240, 320), 1)


def why(data: bytes) -> str | None:
    came = picture_of_jpeg(data, 5)
    return came.why if isinstance(came, Spoiled) else None


def without_tables(jpeg: bytes) -> bytes:
    """As webcams send it: the standard Huffman tables left out."""
    while (at := jpeg.find(b"\xff\xc4")) >= 0:
        jpeg = jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]
    return jpeg


def with_thumbnail(jpeg: bytes) -> bytes:
    """Another whole JPEG in a segment before it."""
    inner = clock_jpeg((48, 64), 1)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(inner) + 2) + inner + jpeg[2:]


@pytest.mark.parametrize("quality", [10, 50, 95])
@pytest.mark.parametrize("options", [{}, {"OPTIMIZE": 1}, {"PROGRESSIVE": 1}, {"RST_INTERVAL": 4}], ids=str)
def test_a_whole_picture_is_good(quality: int, options: dict[str, int]) -> None:
    assert why(jpeg_of(street((240, 320)), quality, **options)) is None


@pytest.mark.parametrize("level", [0, 64, 128, 255])
@pytest.mark.parametrize("options", [{}, {"OPTIMIZE": 1}], ids=str)
def test_a_picture_of_one_colour_is_good(level: int, options: dict[str, int]) -> None:
    assert why(jpeg_of(np.full((1080, 1920, 3), level, np.uint8), **options)) is None


def test_a_picture_with_flat_bars_is_good() -> None:
    """Letterboxed, from an encoder whose code for nothing is a zero."""
    image = np.zeros((1080, 1920, 3), np.uint8)
    image[400:500] = street((100, 1920))
    assert why(jpeg_of(image, OPTIMIZE=1)) is None


@pytest.mark.parametrize("quality", [20, 80, 95])
@pytest.mark.parametrize(
    ("damage", "whys"),
    [(truncated, {"truncated"}), (zeroed, {"zeroed", "blank_rows"}), (cut_out, {"blank_rows"})],
)
def test_a_damaged_picture_is_told(damage, whys: set[str], quality: int) -> None:
    assert why(damage(clock_jpeg((480, 640), 1, quality))) in whys


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", b"<html>", bytes(1000), b"\xff\xd8\xff\xd9"])
def test_what_is_no_picture_is_told(data: bytes) -> None:
    assert why(data) in ("undecodable", "truncated")


def test_a_picture_too_large_is_not_even_unpacked() -> None:
    header = WHOLE.index(b"\xff\xc0")
    bomb = WHOLE[: header + 5] + struct.pack(">HH", 65000, 65000) + WHOLE[header + 9 :]
    assert why(bomb) == "too_large"


def test_the_tables_of_webcams_are_known() -> None:
    came, whole = picture_of_jpeg(without_tables(WHOLE), 5), picture_of_jpeg(WHOLE, 5)
    assert isinstance(came, Picture) and isinstance(whole, Picture)
    assert (came.image == whole.image).all()


def test_zeros_are_told_where_the_tables_are_left_out() -> None:
    assert why(zeroed(without_tables(clock_jpeg((480, 640), 1)))) == "zeroed"


@pytest.mark.parametrize(
    "jpeg", [WHOLE, with_thumbnail(WHOLE), without_tables(WHOLE)], ids=["plain", "thumb", "webcam"]
)
@pytest.mark.parametrize("after", [b"", b"\r\n--boundary\r\n", b"\xff\xd8\xff\xd9"])
def test_a_picture_ends_at_its_own_end_marker(jpeg: bytes, after: bytes) -> None:
    assert jpeg_end(jpeg + after) == len(jpeg)


@given(st.integers(0, len(WHOLE) - 1))
def test_no_beginning_of_a_picture_has_an_end(length: int) -> None:
    assert jpeg_end(with_thumbnail(WHOLE)[:length]) is None


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_any_bytes_are_judged(head: bytes, tail: bytes) -> None:
    damage_of(b"\xff\xd8" + head + WHOLE[2:700] + tail + b"\xff\xd9")
    jpeg_end(b"\xff\xd8" + tail)


def test_moments_are_kept_and_taken() -> None:
    came = picture_of_jpeg(WHOLE, 5, 0.25)
    assert isinstance(came, Picture)
    assert (came.received_ns, came.time) == (5, 0.25) and came.decoded_ns > 5
