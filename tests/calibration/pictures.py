"""Datasets in memory whose masks are made to measure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fcn_edge.labels import LabelSet

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255))


@dataclass(frozen=True)
class Painted:
    """A `Dataset` of given masks; each picture is grey in its own shade. Remembers which masks were read."""

    masks: tuple[NDArray[np.uint8], ...]
    classes: int
    has_masks: bool = True
    read: list[int] = field(default_factory=list, compare=False)

    @property
    def labels(self) -> LabelSet:
        return LabelSet(tuple(f"class {number}" for number in range(self.classes)), PALETTE[: self.classes])

    def __len__(self) -> int:
        return len(self.masks)

    def name(self, index: int) -> str:
        return f"{index:04d}.png"

    def image(self, index: int) -> NDArray[np.uint8]:
        return np.full((*self.masks[index].shape, 3), index % 256, np.uint8)

    def mask(self, index: int) -> NDArray[np.uint8]:
        assert self.has_masks
        self.read.append(index)
        return self.masks[index]

    def digest(self) -> str:
        raise NotImplementedError


def skewed(count: int, seed: int = 0) -> Painted:
    """Pictures of 100 pixels: class 0 nearly everywhere, some of class 1 in every fifth, of class 2 in every 40th."""
    masks = []
    for index in np.random.default_rng(seed).permutation(count):
        mask = np.zeros((10, 10), np.uint8)
        if index % 5 == 0:
            mask[0, :4] = 1
        if index % 40 == 0:
            mask[1, :2] = 2
        masks.append(mask)
    return Painted(tuple(masks), 3)
