"""MATLAB's .mat files (level 5: -v6, -v7), as far as one array of numbers in a struct goes; no cells, nothing sparse.

Written by "MAT-File Format" (The MathWorks) and not with SciPy: a damaged file can crash its reader, and with it the
whole process, and a device would install it for this alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 128
MOST_BYTES = 2**28  # that one variable may unpack to: a small file may claim gigabytes

INT8, MATRIX, COMPRESSED = 1, 14, 15  # types of an element
NUMBERS = {
    INT8: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
STRUCT, NUMERIC = 2, range(6, 16)  # classes of an array

Element = tuple[int, memoryview]  # its type and content


@dataclass(frozen=True)
class Array:
    """An array with its head read: class, dimensions and name; `parts` are the elements after these."""

    kind: int
    shape: tuple[int, ...]
    name: str
    parts: Iterator[Element]


def numbers_in_struct(content: bytes, variable: str, field: str) -> NDArray[np.number]:
    """`variable.field` of a .mat file's bytes, as (rows, columns, ...) of the type it was stored in; a copy.

    Of an array of structs, the first one's. Raises ValueError that says what was found instead.
    """
    order = _byte_order(content)
    names = []
    for array in _variables(memoryview(content)[HEADER_BYTES:], order):
        names.append(array.name)
        if array.name == variable:
            return _numbers(_field(array, field, order), order)
    raise ValueError(f"no variable {variable}, but {', '.join(names) or 'none at all'}")


def _byte_order(content: bytes) -> str:
    if content.startswith(b"MATLAB 7.3"):
        raise ValueError("a file of MATLAB 7.3 (HDF5)")
    order = {b"IM": "<", b"MI": ">"}.get(content[HEADER_BYTES - 2 : HEADER_BYTES])
    if order is None:
        raise ValueError("no MAT-file of level 5")
    return order


def _variables(data: memoryview, order: str) -> Iterator[Array]:
    for kind, content in _elements(data, order):
        if kind == COMPRESSED:
            kind, content = next(_elements(_unpacked(content), order), (0, content))
        if kind == MATRIX:
            yield _array(content, order)


def _unpacked(content: memoryview) -> memoryview:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(content, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"damaged data ({error})") from None
    if not unpacker.eof:
        raise ValueError("data cut short")
    return memoryview(data)


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """Each element on one level, none of them copied."""
    at = 0
    while at + 8 <= len(data):
        kind, count = struct.unpack_from(f"{order}II", data, at)
        start, end = at + 8, at + 8 + count
        if kind >> 16:  # up to four bytes share the eight of the tag
            kind, start, end = kind & 0xFFFF, at + 4, at + 4 + min(kind >> 16, 4)
            at += 8
        else:
            at = end if kind == COMPRESSED else end + -count % 8
        if end > len(data):
            raise ValueError("data cut short")
        yield kind, data[start:end]


def _array(content: memoryview, order: str) -> Array:
    parts = _elements(content, order)
    flags, shape, name = next(parts, None), next(parts, None), next(parts, None)
    if flags is None or shape is None or name is None or len(flags[1]) < 4:
        raise ValueError("an array without head")
    (word,) = struct.unpack_from(f"{order}I", flags[1])
    return Array(word & 0xFF, tuple(_stored(shape, order).tolist()), bytes(name[1]).decode("latin-1"), parts)


def _field(array: Array, field: str, order: str) -> Array:
    """The array in one field of a struct."""
    length, names = next(array.parts, None), next(array.parts, None)
    if array.kind != STRUCT or length is None or names is None:
        raise ValueError(f"{array.name} that is no struct")
    step = int(_stored(length, order).sum())
    found = []
    for at in range(0, len(names[1]), max(step, 1)):
        found.append(bytes(names[1][at : at + step]).split(b"\0")[0].decode("latin-1"))
        value = next(array.parts, None)
        if found[-1] == field and value is not None and value[0] == MATRIX:
            return _array(value[1], order)
    raise ValueError(f"{array.name} without {field}, but with {', '.join(found) or 'nothing'}")


def _numbers(array: Array, order: str) -> NDArray[np.number]:
    part = next(array.parts, None)
    if array.kind not in NUMERIC or part is None:
        raise ValueError("an array that is not of numbers")
    return _stored(part, order).reshape(array.shape, order="F").copy()


def _stored(element: Element, order: str) -> NDArray[np.number]:
    kind, content = element
    if kind not in NUMBERS:
        raise ValueError(f"numbers of the unknown type {kind}")
    return np.frombuffer(content, np.dtype(order + NUMBERS[kind]))
