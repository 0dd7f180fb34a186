"""runtime.display.captions: words over a picture are whole, whatever its size."""

from __future__ import annotations

import numpy as np
import pytest

from runtime.display.captions import add_note, add_panel
from runtime.display.viewer import HELP

GREY = 200
SIZES = [(240, 320), (240, 160), (360, 480), (480, 360), (720, 1280), (1080, 1920), (240, 4000)]


def grey(size_hw: tuple[int, int]) -> np.ndarray:
    return np.full((*size_hw, 3), GREY, np.uint8)


def box_of(picture: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns that were changed."""
    rows, columns = np.nonzero((picture != GREY).any(axis=2))
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


@pytest.mark.parametrize("size_hw", SIZES, ids=str)
def test_the_panel_of_keys_is_whole_and_in_the_middle(size_hw: tuple[int, int]) -> None:
    picture = grey(size_hw)
    add_panel(picture, HELP)
    rows, columns = box_of(picture)
    ink = picture[rows, columns].max(axis=2) > 90
    assert ink.any() and not ink[:, -1].any() and not ink[:, 0].any() and not ink[-1].any()
    assert abs((rows.start + rows.stop) - size_hw[0]) <= 1
    assert abs((columns.start + columns.stop) - size_hw[1]) <= 1


@pytest.mark.parametrize("size_hw", SIZES, ids=str)
@pytest.mark.parametrize("text", ["mask 60%", "saved snapshot-20261124-094328-*.png", "a" * 150])
def test_a_note_is_whole_and_at_the_lower_left(size_hw: tuple[int, int], text: str) -> None:
    picture = grey(size_hw)
    add_note(picture, text)
    rows, columns = box_of(picture)
    assert rows.stop == size_hw[0] and columns.start == 0
    readable = len(text) * 3 < size_hw[1]
    ink = picture[rows, columns].max(axis=2) > 90
    assert not readable or (ink.any() and not ink[:, -1].any())


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 300), (300, 1), (5, 7)], ids=str)
def test_a_picture_too_small_for_words_keeps_its_size(size_hw: tuple[int, int]) -> None:
    picture = grey(size_hw)
    add_panel(picture, HELP)
    add_note(picture, "mask")
    assert picture.shape == (*size_hw, 3)
