"""A clock that programs read out of a picture: how old is what is seen here? It survives JPEG, scaling and overlays.

The code fills the left half of the picture's top quarter with a grid of 8 rows and 20 columns of cells: a cell is a
40th of the picture's width wide and a 32nd of its height high, wherever that falls between pixels. Two cells side by
side are a bit: black then white is 0, white then black is 1, so that a bit is read by comparing, whatever was blended
over it. The 80 bits go row by row, from the left: 64 of the moment in Gray code, highest first, then 16 of a check, the
CRC-16 of these eight bytes as they stand, Gray-coded (CCITT: polynomial 0x1021, start 0, highest bit first).

A reader takes the mean of each cell's middle: half its width, half its height, one pixel at least.
"""

from __future__ import annotations

import binascii

import numpy as np
from numpy.typing import NDArray

ROWS, COLUMNS = 8, 20  # of cells
BLOCKS_HW = (4 * ROWS, 2 * COLUMNS)  # cells that the whole picture would have
SMALLEST_HW = (96, 120)  # of a picture as it is read: cells of three pixels by three
LEAST_CONTRAST = 12  # grey levels between the cells of a bit, or there is no code: JPEG at quality 70 makes up to 10


def draw_clock(image: NDArray[np.uint8], moment_ns: int) -> None:
    """Draw a moment of `time.monotonic_ns()`, 64 bits, into an (H, W, 3) picture."""
    height, width = image.shape[:2]
    rows = np.arange(height // 4) * BLOCKS_HW[0] // height
    columns = np.arange(width // 2) * BLOCKS_HW[1] // width
    image[: rows.size, : columns.size] = _cells(moment_ns)[np.ix_(rows, columns)][..., None]


def read_clock(image: NDArray[np.uint8]) -> int | None:
    """The moment in an (H, W, 3) or (H, W) picture, of the size it was drawn in or scaled; None where none is whole."""
    if image.shape[0] < SMALLEST_HW[0] or image.shape[1] < SMALLEST_HW[1]:
        return None
    cells = _middles(image)
    contrast = cells[:, 0::2] - cells[:, 1::2]  # (8, 10)
    if np.abs(contrast).min() < LEAST_CONTRAST:
        return None
    packed = np.packbits(contrast > 0).tobytes()
    gray, check = packed[:8], packed[8:]
    return _from_gray(int.from_bytes(gray, "big")) if _check_of(gray) == check else None


def _cells(moment_ns: int) -> NDArray[np.uint8]:
    """(8, 20) of black and white."""
    gray = (moment_ns ^ (moment_ns >> 1)).to_bytes(8, "big")
    bits = np.unpackbits(np.frombuffer(gray + _check_of(gray), np.uint8))
    return (np.stack([bits, 1 - bits], axis=1) * 255).astype(np.uint8).reshape(ROWS, COLUMNS)


def _middles(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(8, 20) mean grey of the cells' middles."""
    rows = [_middle(row, image.shape[0] / BLOCKS_HW[0]) for row in range(ROWS)]
    columns = [_middle(column, image.shape[1] / BLOCKS_HW[1]) for column in range(COLUMNS)]
    return np.array([[image[row, column].mean() for column in columns] for row in rows])


def _middle(index: int, cell: float) -> slice:
    """The pixels of the middle half of a cell."""
    start = round((index + 0.25) * cell)
    return slice(start, max(start + 1, round((index + 0.75) * cell)))


def _check_of(gray: bytes) -> bytes:
    return binascii.crc_hqx(gray, 0).to_bytes(2, "big")


def _from_gray(gray: int) -> int:
    for shift in (32, 16, 8, 4, 2, 1):
        gray ^= gray >> shift
    return gray
