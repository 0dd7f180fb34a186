"""Palette PNGs whose pixel values are class ids: written with a colour table, read back as numbers.

OpenCV knows neither (it writes grey and reads colours), but a palette PNG is a grey one with two bytes and one chunk
changed (PNG specification, sections 11.2.2 and 11.2.3), so OpenCV does the packing and this file the chunks.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, PALETTE = 0, 3  # colour types of the IHDR chunk
COLOUR_TYPE_AT = 9  # its place in IHDR, after width, height and bit depth


def encode_palette_png(mask: NDArray[np.uint8], colours_bgr: NDArray[np.uint8]) -> bytes:
    """A PNG file of a (H, W) uint8 mask that shows `colours_bgr` (256, 3) and whose stored values are the ids."""
    # Masks are large flat areas: run-length coding is several times faster than the default and nearly as small.
    encoded, grey = cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE])
    if not encoded:
        raise ValueError(f"OpenCV cannot encode a mask of shape {mask.shape} and type {mask.dtype}")
    return b"".join(_with_palette(grey.tobytes(), colours_bgr[:, ::-1].tobytes()))


def _with_palette(png: bytes, palette_rgb: bytes) -> Iterator[bytes]:
    yield SIGNATURE
    for kind, content in _chunks(png):
        if kind == b"IHDR":
            yield _chunk(kind, _with_colour_type(content, PALETTE))
            yield _chunk(b"PLTE", palette_rgb)
        else:
            yield _chunk(kind, content)


def decode_palette_png(png: bytes) -> NDArray[np.uint8] | None:
    """The (H, W) uint8 indices of a palette PNG; None for anything else.

    Raises cv2.error or returns None if damaged.
    """
    header = _header(png)
    if header is None or header[COLOUR_TYPE_AT] != PALETTE or header[8] not in (1, 2, 4, 8):
        return None
    grey = b"".join(_as_grey(png))
    image = cv2.imdecode(np.frombuffer(grey, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        return None
    bit_depth = header[8]
    return np.asarray(image // (255 // (2**bit_depth - 1)), np.uint8)  # a grey PNG of few bits is stretched to 0..255


def _as_grey(png: bytes) -> Iterator[bytes]:
    yield SIGNATURE
    for kind, content in _chunks(png):
        if kind == b"IHDR":
            yield _chunk(kind, _with_colour_type(content, GREY))
        elif kind in (b"IDAT", b"IEND"):
            yield _chunk(kind, content)


def _header(png: bytes) -> bytes | None:
    first = next(_chunks(png), None)
    return first[1] if first and first[0] == b"IHDR" and len(first[1]) == 13 else None


def _with_colour_type(header: bytes, colour_type: int) -> bytes:
    return header[:COLOUR_TYPE_AT] + bytes([colour_type]) + header[COLOUR_TYPE_AT + 1 :]


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The (kind, content) of each whole chunk; ends quietly where a file is cut."""
    at = len(SIGNATURE) if png.startswith(SIGNATURE) else len(png)
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if at + 12 + length > len(png):
            return
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
