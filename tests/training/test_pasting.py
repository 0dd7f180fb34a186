"""Pasting: pixels and labels of rare classes come over together, the rest stays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.labels import VOID, LabelSet
from fcn_edge.training.augment import plain_crop
from fcn_edge.training.batches import TrainingCrops
from fcn_edge.training.pasting import NO_PASTING, Pasting, rare_classes

RARE = 2
LABELS = LabelSet(("road", "car", "pole"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))


@dataclass(frozen=True)
class Poles:
    """Picture n is of the colour n; it has a pole of class 2 in column n, the rest is class 0."""

    labels: LabelSet = LABELS
    has_masks: bool = True

    def __len__(self) -> int:
        return 4

    def name(self, index: int) -> str:
        return f"pole-{index}"

    def image(self, index: int) -> NDArray[np.uint8]:
        return np.full((16, 16, 3), index, np.uint8)

    def mask(self, index: int) -> NDArray[np.uint8]:
        mask = np.zeros((16, 16), np.uint8)
        mask[:, index] = RARE
        mask[0] = VOID
        return mask

    def digest(self) -> str:
        return "poles"


def test_things_come_over_with_their_labels_and_all_else_stays() -> None:
    data, pasting = Poles(), Pasting((RARE,), 1.0)
    pairs = [(data.image(index), data.mask(index)) for index in (1, 3)]
    drawn = [pasting.pasted(pairs[0], pairs[1], np.random.default_rng(seed)) for seed in range(20)]
    came = [image[5, 3, 0] == 3 for image, _ in drawn]
    assert any(came) and not all(came)
    for (image, mask), here in zip(drawn, came, strict=True):
        assert (mask[5, 3] == RARE) == here
        wanted = pairs[0][1].copy()
        wanted[1:, 3] = RARE if here else 0
        assert np.array_equal(mask, wanted) and np.array_equal(
            image[..., 0] == 3, (mask == RARE) & (image[..., 0] != 1)
        )
    assert np.array_equal(pairs[0][0], data.image(1))


@pytest.mark.parametrize("crop_hw", [None, (8, 12)])
def test_crops_hold_things_of_other_pictures_by_the_draw_alone(crop_hw: tuple[int, int] | None) -> None:
    crops = TrainingCrops(Poles(), crop_hw, 0, plain_crop, Pasting((RARE,), 1.0))
    mixed = [np.ptp(crops[(epoch, 1)][0].numpy()) > 0 for epoch in range(20)]
    assert any(mixed) and not all(mixed)
    assert mixed == [np.ptp(crops[(epoch, 1)][0].numpy()) > 0 for epoch in range(20)]


def test_no_share_leaves_a_crop_as_it_was() -> None:
    plain, none = (TrainingCrops(Poles(), (8, 12), 0, plain_crop, p) for p in (NO_PASTING, Pasting((RARE,), 0.0)))
    assert all(bool((a == b).all()) for a, b in zip(plain[(0, 1)], none[(0, 1)], strict=True))


def test_rare_is_below_the_median_of_what_there_is() -> None:
    assert rare_classes(np.array([1000, 0, 10, 500, 20, 600])) == (2, 4)
    assert rare_classes(np.array([7, 7])) == ()
