"""Video files that nobody closed: what can be read of them."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import av


def is_readable(path: Path) -> bool:
    """Whether at least one frame can be read. Of an MP4, what would keep FFmpeg from it is cut off."""
    with suppress(OSError):
        _cut_torn_index(path)
    with suppress(av.error.FFmpegError, IndexError, OSError), av.open(f"file:{path}") as container:
        return any(packet.size and not packet.is_corrupt for packet in container.demux(container.streams.video[0]))
    return False


def _cut_torn_index(path: Path) -> None:
    """FFmpeg opens no MP4 that ends within the index of a fragment; one that ends within its frames, it does."""
    with path.open("rb") as file:
        boxes = list(_boxes(file))
    if boxes and boxes[0][1] == b"ftyp" and boxes[-1][1] == b"moof" and boxes[-1][2] > path.stat().st_size:
        os.truncate(path, boxes[-1][0])


def _boxes(file: BinaryIO) -> Iterator[tuple[int, bytes, int]]:
    """(begin, kind, end) of each box of an MP4; the last may end beyond the file (ISO/IEC 14496-12, 4.2)."""
    begin = 0
    while len(head := file.read(16)) >= 8:
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:  # frames of more than 4 GB
            (length,) = struct.unpack(">Q", head[8:])
        yield begin, kind, begin + length
        if length < 8:  # 0: all that follows
            return
        begin += length
        file.seek(begin)
