"""palette_png.py: what it writes is read by a decoder written here from the PNG specification, and the reverse."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from fcn_edge.palette_png import decode_palette_png, encode_palette_png

COLOURS = np.random.default_rng(5).integers(0, 256, (256, 3), np.uint8)
GREY, RGB, PALETTE = 0, 2, 3
MASKS = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=20))


def png_file(
    rows: NDArray[np.uint8], bit_depth: int = 8, colour_type: int = PALETTE, colours: NDArray[np.uint8] = COLOURS
) -> bytes:
    """A PNG file whose scanlines are these bytes, already packed; its width follows from their number."""
    channels = 3 if colour_type == RGB else 1
    width = rows.shape[1] * 8 // (bit_depth * channels)
    header = struct.pack(">IIBBBBB", width, rows.shape[0], bit_depth, colour_type, 0, 0, 0)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    table = [(b"PLTE", colours[: 2 ** min(bit_depth, 8)].tobytes())] if colour_type == PALETTE else []
    chunks = [(b"IHDR", header), *table, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def chunks_of(png: bytes) -> dict[bytes, bytes]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        kind, content = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", png, at + 8 + length)
        assert checksum == zlib.crc32(kind + content)
        found[kind] = found.get(kind, b"") + content
        at += 12 + length
    return found


def stored_values(png: bytes) -> NDArray[np.uint8]:
    """The numbers that an 8-bit PNG of one channel stores, unfiltered by the book (PNG specification, section 9)."""
    chunks = chunks_of(png)
    width, height, bit_depth, _, _, _, interlace = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (bit_depth, interlace) == (8, 0)
    data, above, rows = zlib.decompress(chunks[b"IDAT"]), [0] * width, []
    for y in range(height):
        kind, *line = data[y * (width + 1) : (y + 1) * (width + 1)]
        for x in range(width):
            a, b, c = line[x - 1] if x else 0, above[x], above[x - 1] if x else 0
            p = a + b - c
            paeth = min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]
            line[x] = (line[x] + (0, a, b, (a + b) // 2, paeth)[kind]) % 256
        rows.append(line)
        above = line
    return np.array(rows, np.uint8)


def packed(values: NDArray[np.uint8], bit_depth: int) -> NDArray[np.uint8]:
    """Scanlines of few-bit values, the leftmost in the highest bits (section 7.2)."""
    bits = np.unpackbits(values[..., None], axis=2)[..., 8 - bit_depth :]
    return np.packbits(bits.reshape(len(values), -1), axis=1)


@settings(derandomize=True, deadline=None)
@given(MASKS)
def test_every_mask_comes_back_as_it_was(mask: NDArray[np.uint8]) -> None:
    back = decode_palette_png(encode_palette_png(mask, COLOURS))
    assert back is not None and back.dtype == np.uint8
    np.testing.assert_array_equal(back, mask)


@settings(derandomize=True, deadline=None)
@given(MASKS)
def test_the_values_stored_in_the_file_are_the_ids(mask: NDArray[np.uint8]) -> None:
    np.testing.assert_array_equal(stored_values(encode_palette_png(mask, COLOURS)), mask)


def test_other_programs_see_the_colours() -> None:
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    png = encode_palette_png(mask, COLOURS)
    assert chunks_of(png)[b"IHDR"][9] == PALETTE
    np.testing.assert_array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR), COLOURS[mask])


def test_a_mask_of_a_slice_is_written_as_seen() -> None:
    whole = np.arange(64, dtype=np.uint8).reshape(8, 8)
    view = whole[1::2, ::-2]
    np.testing.assert_array_equal(stored_values(encode_palette_png(view, COLOURS)), view)


@pytest.mark.parametrize("bit_depth", [1, 2, 4, 8])
def test_palette_files_of_few_bits_give_their_indices(bit_depth: int) -> None:
    values = np.random.default_rng(bit_depth).integers(0, 2**bit_depth, (5, 16), np.uint8)
    found = decode_palette_png(png_file(packed(values, bit_depth), bit_depth))
    assert found is not None
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("bit_depth", [1, 2, 4])
def test_grey_files_of_few_bits_give_their_numbers_and_not_shades(bit_depth: int) -> None:
    values = np.random.default_rng(bit_depth).integers(0, 2**bit_depth, (5, 16), np.uint8)
    found = decode_palette_png(png_file(packed(values, bit_depth), bit_depth, GREY))
    assert found is not None
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(("bit_depth", "colour_type"), [(8, GREY), (16, GREY), (8, RGB)])
def test_grey_and_rgb_files_have_no_indices(bit_depth: int, colour_type: int) -> None:
    png = png_file(np.zeros((3, 12), np.uint8), bit_depth, colour_type)
    assert cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED) is not None
    assert decode_palette_png(png) is None


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a" + bytes(40), b"words" * 100])
def test_what_is_no_png_has_no_indices(content: bytes) -> None:
    assert decode_palette_png(content) is None


@pytest.mark.parametrize("bit_depth", [0, 3, 16, 255])
def test_a_palette_file_of_a_bit_depth_that_png_forbids_has_no_indices(bit_depth: int) -> None:
    png = png_file(np.ones((2, 64), np.uint8), 8)
    header = struct.pack(">IIBBBBB", 32, 2, bit_depth, PALETTE, 0, 0, 0)  # of 16 bits, 32 values fill a scanline
    assert decode_palette_png(png[:16] + header + struct.pack(">I", zlib.crc32(b"IHDR" + header)) + png[33:]) is None


def test_damage_that_only_a_checksum_shows_is_not_read() -> None:
    png = bytearray(png_file(np.zeros((8, 8), np.uint8)))
    place = bytes(png).index(b"IDAT") - 4
    (length,) = struct.unpack_from(">I", png, place)
    checksum = slice(place + 8 + length, place + 12 + length)
    png[checksum] = bytes(value ^ 255 for value in png[checksum])
    assert decode_palette_png(bytes(png)) is None


def refused_or_decoded(png: bytes) -> None:
    """The contract for damaged files: indices, None or cv2.error, and nothing else."""
    try:
        found = decode_palette_png(png)
    except cv2.error:
        return
    assert found is None or (found.ndim == 2 and found.dtype == np.uint8)


def test_a_file_cut_anywhere_never_crashes() -> None:
    png = encode_palette_png(np.arange(100, dtype=np.uint8).reshape(10, 10), COLOURS)
    for length in range(len(png)):
        refused_or_decoded(png[:length])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.data())
def test_damaged_bytes_never_crash(data: st.DataObject) -> None:
    png = bytearray(png_file(np.arange(64, dtype=np.uint8).reshape(8, 8)))
    # The sizes in the header stay: a size of gigapixels is another test's, with OpenCV's limit in force.
    places = st.integers(0, 7) | st.integers(24, len(png) - 1)
    for at, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)):
        png[at] = value
    refused_or_decoded(bytes(png))
