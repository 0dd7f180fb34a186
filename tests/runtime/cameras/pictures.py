"""JPEG pictures with a readable clock, whole and damaged."""

from __future__ import annotations

import time
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.street import draw_street
from runtime.sources.clock_code import draw_clock


@lru_cache
def street(size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    return draw_street(3, 0.0, size_hw)[0]


def clock_jpeg(size_hw: tuple[int, int] = (240, 320), moment_ns: int | None = None, quality: int = 80) -> bytes:
    """A street with the clock of now, or of a moment."""
    image = street(size_hw).copy()
    draw_clock(image, time.monotonic_ns() if moment_ns is None else moment_ns)
    return jpeg_of(image, quality)


def jpeg_of(image: NDArray[np.uint8], quality: int = 80, **options: int) -> bytes:
    """`options` by OpenCV's names: OPTIMIZE=1."""
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
    for name, value in options.items():
        flags += [getattr(cv2, f"IMWRITE_JPEG_{name}"), value]
    done, data = cv2.imencode(".jpg", image, flags)
    assert done
    return bytes(data)


def truncated(jpeg: bytes) -> bytes:
    return jpeg[: len(jpeg) // 2]


def zeroed(jpeg: bytes) -> bytes:
    """Its second half zero, its length and its end marker kept."""
    half = len(jpeg) // 2
    return jpeg[:half] + bytes(len(jpeg) - half - 2) + jpeg[-2:]


def cut_out(jpeg: bytes) -> bytes:
    """Its end marker right after its first half."""
    return jpeg[: len(jpeg) // 2] + jpeg[-2:]
