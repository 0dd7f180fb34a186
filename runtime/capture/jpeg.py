"""JPEG pictures of cameras, judged by their bytes: decoders fill in what is damaged and call it good."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge import MAX_PIXELS
from runtime.capture.reader import Picture, Spoiled

START, END = b"\xff\xd8", b"\xff\xd9"
SMALLEST_BYTES = 128  # that even one grey pixel takes, with its tables
ZEROS = bytes(256)  # in entropy-coded data, these are hundreds of equal coefficients in a row
GREY = 128  # what libjpeg fills in for blocks that are missing

# After a scan's header: a marker that neither belongs to the data nor restarts it.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def picture_of_jpeg(data: bytes, received_ns: int, at_s: float | None = None) -> Picture | Spoiled:
    """Decode one whole JPEG, or tell why it cannot be used."""
    why = damage_of(data)
    if why:
        return Spoiled(why)
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        return Spoiled("undecodable")
    picture = np.asarray(image, np.uint8)
    if _ends_in_grey(picture):
        return Spoiled("blank_rows")
    return Picture(picture, received_ns, time.monotonic_ns(), at_s)


def damage_of(data: bytes) -> str | None:
    """What is wrong with a JPEG's bytes, if anything is seen."""
    if not data.startswith(START):
        return "undecodable"
    end = jpeg_end(data)
    if len(data) < SMALLEST_BYTES or end is None:
        return "truncated"
    segments = _segments(data)
    if _pixels(segments) > MAX_PIXELS:
        return "too_large"
    if ZEROS in data and not _zeros_mean_flat(segments):
        return "zeroed"
    return None


def jpeg_end(data: bytes | bytearray) -> int | None:
    """Where the picture that begins `data` ends, its end marker included; None if it does not. A thumbnail inside has
    an end marker of its own, so segments are skipped by their lengths and only what follows a scan is searched."""
    at = 2
    while at + 4 <= len(data) or data[at : at + 2] == END:
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xD9:
            return at + 2
        if marker == 0xFF:  # filling
            at += 1
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            found = _MARKER.search(data, at)
            if not found:
                return None
            at = found.start()
    return None


def _segments(data: bytes) -> list[tuple[int, bytes]]:
    """(marker, content) of what stands before the first scan."""
    found, at = [], 2
    while at + 4 <= len(data) and data[at + 1] != 0xDA:
        if data[at + 1] == 0xFF:
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found


def _pixels(segments: list[tuple[int, bytes]]) -> int:
    """Height times width, of the frame header."""
    headers = [content for marker, content in segments if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)]
    return max((int.from_bytes(h[1:3], "big") * int.from_bytes(h[3:5], "big") for h in headers), default=0)


def _zeros_mean_flat(segments: list[tuple[int, bytes]]) -> bool:
    """Whether a code of zeros alone ends a block in every table, as encoders make them for pictures of flat parts. The
    standard tables, which stand for those that are left out, are not so."""
    firsts = [symbol for marker, content in segments if marker == 0xC4 for symbol in _first_symbols(content)]
    return bool(firsts) and not any(firsts)


def _first_symbols(tables: bytes) -> Iterator[int]:
    """Of each table for AC coefficients in a DHT segment, the symbol whose code is all zeros; 0 ends a block."""
    at = 0
    while at + 17 < len(tables):  # class and number, 16 counts, symbols
        if tables[at] >> 4 == 1:
            yield tables[at + 17]
        at += 17 + sum(tables[at + 1 : at + 17])


def _ends_in_grey(image: NDArray[np.uint8]) -> bool:
    """(H, W, 3) whose last rows are what a decoder fills in, below others that are not."""
    return bool((image[-4:] == GREY).all() and (image[0] != GREY).any())
