"""Protobuf's wire format (protobuf.dev/programming-guides/encoding), read field by field and without a schema.

Made for files that may hold anything: only what is asked for is read, no length is believed, and a budget ends it. The
file is read by blocks rather than mapped, because a mapped file that somebody shortens meanwhile kills the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5  # wire types; 3 and 4 are groups, which no ONNX file holds
FIXED_BYTES = {FIXED64: 8, FIXED32: 4}

BLOCK = 1 << 14  # bytes of one read: some fields before the next weights
MOST_FIELDS = 1_000_000  # some 30,000 nodes, where an FCN has some 100; a few seconds
MOST_TEXT = 1 << 26  # bytes of all names and words together


class WireError(Exception):
    """The bytes are no message; says what is wrong, in words for the `found` part of a refusal."""


class Span(NamedTuple):
    """Where the bytes of a field lie in the file: start, and the first byte behind."""

    start: int
    end: int


class Wire:
    """The messages of one open file. Every method raises WireError."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.whole = Span(0, os.fstat(descriptor).st_size)
        self._block, self._block_start = b"", 0
        self._fields_left, self._text_left = MOST_FIELDS, MOST_TEXT

    def fields(self, message: Span) -> Iterator[tuple[int, int | Span]]:
        """Number and value of each field, in order: an integer, or where bytes lie. Fixed numbers are passed over."""
        position, end = message
        while position < end:
            self._spend_field()
            tag, position = self._varint(position, end)
            number, wire_type = tag >> 3, tag & 7
            if not 0 < number < 1 << 29:
                raise WireError(f"a field of number {number}")
            if wire_type == VARINT:
                value, position = self._varint(position, end)
                yield number, value
            elif wire_type == LENGTH:
                length, position = self._varint(position, end)
                span = Span(position, position := _within(position + length, end))
                yield number, span
            elif wire_type in FIXED_BYTES:
                position = _within(position + FIXED_BYTES[wire_type], end)
            else:
                raise WireError(f"a field of wire type {wire_type}")

    def text(self, span: Span) -> str:
        """The bytes of a field as UTF-8; what is none is replaced."""
        self._text_left -= span.end - span.start
        if self._text_left < 0:
            raise WireError(f"more than {MOST_TEXT >> 20} MiB of names")
        content = os.pread(self._descriptor, span.end - span.start, span.start)
        if len(content) < span.end - span.start:
            raise WireError("a file that grew shorter")
        return content.decode(errors="replace")

    def _spend_field(self) -> None:
        self._fields_left -= 1
        if self._fields_left < 0:
            raise WireError(f"more than {MOST_FIELDS} fields")

    def _varint(self, position: int, end: int) -> tuple[int, int]:
        """An unsigned number of up to 64 bits, and the position behind it."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte(_within(position + 1, end) - 1)
            position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80 and value < 1 << 64:
                return value, position
        raise WireError("a number of more than 64 bits")

    def _byte(self, position: int) -> int:
        offset = position - self._block_start
        if not 0 <= offset < len(self._block):
            self._block, self._block_start, offset = os.pread(self._descriptor, BLOCK, position), position, 0
            if not self._block:
                raise WireError("a file that grew shorter")
        return self._block[offset]


def signed(number: int) -> int:
    """A varint as the int64 that protobuf makes of it."""
    return number - (1 << 64) if number >= 1 << 63 else number


def _within(position: int, end: int) -> int:
    if position > end:
        raise WireError("a length that goes past the end (a truncated file?)")
    return position
