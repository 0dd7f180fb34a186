"""What pictures show: shares of classes by picture, brightness, and the table of both sides."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.appearance import brightness, class_rows, class_shares, mean_shares
from fcn_edge.labels import VOID
from tests.calibration.pictures import Painted


def test_shares_are_of_each_pictures_own_pixels() -> None:
    small = np.array([[0, 1], [1, VOID]], np.uint8)
    large = np.full((40, 10), 2, np.uint8)
    shares = class_shares(Painted((small, large), 3), [1, 0])
    np.testing.assert_allclose(shares, [[0, 0, 1], [0.25, 0.5, 0]])


def test_the_mean_is_over_what_is_labelled_and_nothing_is_no_division() -> None:
    np.testing.assert_allclose(mean_shares(np.array([[0.25, 0.5], [0.25, 0.0]])), [0.5, 0.5])
    np.testing.assert_array_equal(mean_shares(np.zeros((3, 2))), [0, 0])


@dataclass(frozen=True)
class Shown(Painted):
    pictures: tuple[NDArray[np.uint8], ...] = ()

    def image(self, index: int) -> NDArray[np.uint8]:
        return self.pictures[index]


def test_brightness_is_the_mean_of_the_grey_picture() -> None:
    pictures = tuple(np.random.default_rng(seed).integers(0, 256, (9, 7, 3), np.uint8) // (seed + 1) for seed in (0, 1))
    found = brightness(Shown((), 1, pictures=pictures), [1, 0])
    wanted = [cv2.cvtColor(pictures[index], cv2.COLOR_BGR2GRAY).mean() for index in (1, 0)]
    np.testing.assert_allclose(found, wanted, atol=0.5)
    assert found[0] < found[1]


@pytest.mark.parametrize(("pictures", "head"), [(3, "of the split %"), (9, "of 3 read of 9 %")])
def test_the_table_tells_what_it_compares_with(pictures: int, head: str) -> None:
    pool = np.array([[0.5, 0.0], [0.4, 0.1], [0.9, 0.1]])
    assert class_rows(("road", "sign"), pool[:2], pool, pictures) == [
        ["class", "of the set %", head, "pictures that show it"],
        ["road", "90.00", "90.00", "2 of 2"],
        ["sign", "10.00", "10.00", "1 of 2"],
    ]
