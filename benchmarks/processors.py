"""Processors: how many this process may use, and how many torch and OpenCV do use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import torch


def cores() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Of torch and OpenCV, which know but one number for the whole process."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])
