"""Labelled pictures without any files: the drawn street of `street.py`, each split from seeds of its own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.street import CLASSES, draw_street
from fcn_edge.errors import SourceError
from fcn_edge.labels import LabelSet

STREET_LABELS = LabelSet(tuple(name for name, _ in CLASSES), tuple(rgb for _, rgb in CLASSES))

# How many pictures each split has, and its first seed: no two splits share a street.
SPLITS = {"train": (240, 0), "val": (40, 100_000), "test": (40, 200_000)}

SIZE_HW = (240, 320)


@dataclass(frozen=True)
class SyntheticStreet:
    """A `Dataset` that is drawn when asked; the same bytes on every machine of one OpenCV."""

    count: int
    first_seed: int
    labels: LabelSet = STREET_LABELS
    has_masks: bool = True

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"street-{self.first_seed + index}"

    def image(self, index: int) -> NDArray[np.uint8]:
        return self._draw(index)[0].copy()

    def mask(self, index: int) -> NDArray[np.uint8]:
        return self._draw(index)[1].copy()

    def _draw(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        # The moment differs from street to street, so that near and far things come in every phase.
        return _drawn(self.first_seed + index, 0.37 * index)

    def digest(self) -> str:
        digest = hashlib.sha256()
        for index in range(len(self)):
            for part in self._draw(index):
                digest.update(part.tobytes())
        return digest.hexdigest()


# Whoever asks for a picture asks for its mask next.
_drawn = lru_cache(maxsize=1)(partial(draw_street, size_hw=SIZE_HW))


def open_synthetic(split: str) -> SyntheticStreet:
    if split not in SPLITS:
        raise SourceError(
            f"wanted the split {split!r} of synthetic, found only {', '.join(SPLITS)}; choose one of them"
        )
    return SyntheticStreet(*SPLITS[split])
