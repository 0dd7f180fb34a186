"""PNGs whose stored numbers are class ids, but which OpenCV would give as colours or stretched: palettes, few bits.

OpenCV knows no palette (it writes grey and reads colours), but a palette PNG is a grey one with two bytes and one chunk
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
# A logical mask of MATLAB's or of Pillow's is grey of one bit: its 1 is class 1, which OpenCV would make 255.
STORED_AS_NUMBERS = {*((PALETTE, bits) for bits in (1, 2, 4, 8)), *((GREY, bits) for bits in (1, 2, 4))}


def encode_palette_png(mask: NDArray[np.uint8], colours_bgr: NDArray[np.uint8]) -> bytes:
    """A PNG file of a (H, W) uint8 mask that shows `colours_bgr` (256, 3) and whose stored values are the ids."""
    # Masks are large flat areas: run-length coding is several times faster than the default and nearly as small.
    encoded, grey = cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE])
    if not encoded:
        raise ValueError(f"OpenCV cannot encode a mask of shape {mask.shape} and type {mask.dtype}")
    return b"".join(_with_palette(grey.tobytes(), colours_bgr[:, ::-1].tobytes()))


def _with_palette(png: bytes, palette_rgb: bytes) -> Iterator[bytes]:
    yield SIGNATURE
    for chunk in _chunks(png):
        if _kind(chunk) == b"IHDR":
            yield _chunk(b"IHDR", _with_colour_type(_content(chunk), PALETTE))
            yield _chunk(b"PLTE", palette_rgb)
        else:
            yield chunk


def decode_palette_png(png: bytes) -> NDArray[np.uint8] | None:
    """The (H, W) uint8 indices of a palette PNG, or the numbers in a grey one of 1, 2 or 4 bits; None for others.

    Raises cv2.error or returns None if damaged.
    """
    header = _header(png)
    if header is None or (header[COLOUR_TYPE_AT], header[8]) not in STORED_AS_NUMBERS:
        return None
    grey = b"".join(_as_grey(png))
    image = cv2.imdecode(np.frombuffer(grey, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        return None
    bit_depth = header[8]
    return np.asarray(image // (255 // (2**bit_depth - 1)), np.uint8)  # a grey PNG of few bits is stretched to 0..255


def palette_rgb(png: bytes) -> NDArray[np.uint8] | None:
    """The (n, 3) RGB colours of a palette PNG, of which the first few kilobytes are enough; None for others."""
    header = _header(png)
    if header is None or header[COLOUR_TYPE_AT] != PALETTE:
        return None
    content = next((_content(chunk) for chunk in _chunks(png) if _kind(chunk) == b"PLTE"), b"")
    return np.frombuffer(content[: len(content) // 3 * 3], np.uint8).reshape(-1, 3)


def _as_grey(png: bytes) -> Iterator[bytes]:
    yield SIGNATURE
    for chunk in _chunks(png):
        if _kind(chunk) == b"IHDR":
            yield _chunk(b"IHDR", _with_colour_type(_content(chunk), GREY))
        elif _kind(chunk) in (b"IDAT", b"IEND"):
            yield chunk  # with its own checksum, or damage would pass


def _header(png: bytes) -> bytes | None:
    first = next(_chunks(png), b"")
    return _content(first) if _kind(first) == b"IHDR" and len(_content(first)) == 13 else None


def _with_colour_type(header: bytes, colour_type: int) -> bytes:
    return header[:COLOUR_TYPE_AT] + bytes([colour_type]) + header[COLOUR_TYPE_AT + 1 :]


def _chunks(png: bytes) -> Iterator[bytes]:
    """Each whole chunk: length, kind, content, checksum; ends quietly where a file is cut."""
    at = len(SIGNATURE) if png.startswith(SIGNATURE) else len(png)
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if at + 12 + length > len(png):
            return
        yield png[at : at + 12 + length]
        at += 12 + length


def _kind(chunk: bytes) -> bytes:
    return chunk[4:8]


def _content(chunk: bytes) -> bytes:
    return chunk[8:-4]


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
