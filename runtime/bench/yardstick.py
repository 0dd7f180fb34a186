"""A fixed computation beside a model's blocks: by how much the machine itself was slower than another time.

It sorts and gathers on as many threads as the model has, some milliseconds at a time, and waits for the last of them:
so others at work on the cores, heat and a lower clock slow it about as they slow a model on the processor. Beside a
training on both of two cores it took 24 times as long, OpenVINO 18 times. Of a GPU it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import numpy as np
from numpy.typing import NDArray

from runtime.bench.spells import Opener, Step

NAME = "yardstick"
VERSION = 1  # of what is computed: figures of different ones are never compared
NUMBERS, TIMES = 1 << 16, 5


def yardstick(threads: int) -> Opener:
    return partial(_opened, threads)


@contextmanager
def _opened(threads: int) -> Iterator[Step]:
    numbers = np.random.default_rng(0).integers(0, 1 << 30, NUMBERS, np.int64)
    with ThreadPoolExecutor(threads) as pool:  # numpy lets go of the interpreter while it sorts
        yield lambda: list(pool.map(_work, [numbers] * threads))


def _work(numbers: NDArray[np.int64]) -> None:
    for _ in range(TIMES):
        numbers[np.argsort(numbers)].sum()
