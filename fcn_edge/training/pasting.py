"""Things of rare classes, cut out of one crop and pasted over another: poles, signs and people in more places.

After Ghiasi et al., "Simple Copy-Paste is a Strong Data Augmentation Method", CVPR 2021, and, for classes instead of
objects, Olsson et al., "ClassMix", WACV 2021. A thing keeps its place in the picture, which suits a camera on a car.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fcn_edge.training.augment import LabelledPicture

EACH = 0.7  # how often a rare class is pasted where another crop has it


@dataclass(frozen=True)
class Pasting:
    """Which classes are pasted, and into which share of the crops."""

    classes: tuple[int, ...] = ()
    share: float = 0.0

    def wished(self, rng: Generator) -> bool:
        return bool(self.classes) and self.share > 0 and rng.random() < self.share

    def pasted(self, crop: LabelledPicture, other: LabelledPicture, rng: Generator) -> LabelledPicture:
        """`crop`, a picture (h, w, 3) and its mask (h, w), with the pixels of some of `other`'s rare classes."""
        chosen = [label for label in self.classes if rng.random() < EACH]
        there = np.isin(other[1], chosen)
        image, mask = crop[0].copy(), crop[1].copy()
        image[there], mask[there] = other[0][there], other[1][there]
        return image, mask


NO_PASTING = Pasting()


def rare_classes(pixels: NDArray[np.int64]) -> tuple[int, ...]:
    """Classes that have fewer pixels than the median class, and some."""
    present = pixels[pixels > 0]
    return tuple(label for label, count in enumerate(pixels) if 0 < count < np.median(present))
