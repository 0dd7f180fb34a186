"""contact_sheet.py: rows of frames, columns of what was made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fcn_edge.contact_sheet import ROW_HEIGHT, contact_sheet, spread
from fcn_edge.datasets import Dataset, open_dataset


@pytest.fixture(scope="module")
def streets(street_folder: Path) -> Dataset:
    return open_dataset(f"folder:{street_folder}", "val")


def test_a_sheet_has_a_row_per_picture_asked_for_and_a_column_per_name(streets: Dataset) -> None:
    columns = {"a": lambda index: streets.mask(index), "b": lambda index: np.zeros((4, 6), np.uint8)}
    sheet = contact_sheet(streets, columns, [2, 0])
    assert sheet.shape[1] // (ROW_HEIGHT * 96 // 64) == 4 and sheet.shape[0] // ROW_HEIGHT == 2
    taller = contact_sheet(streets, columns, [2, 0, 1])
    assert np.array_equal(taller[: len(sheet)], sheet)
    alone = contact_sheet(streets, {}, [0])
    left = ROW_HEIGHT * 96 // 64 + 4
    assert np.array_equal(alone[-ROW_HEIGHT - 4 :, : 2 * left], sheet[-ROW_HEIGHT - 4 :, : 2 * left])


def test_pictures_without_labels_have_no_column_of_truth(streets: Dataset) -> None:
    class Unlabelled:
        labels, has_masks, image = streets.labels, False, staticmethod(streets.image)

    sheet = contact_sheet(Unlabelled(), {"a": streets.mask}, [0])  # type: ignore[arg-type]
    assert sheet.shape[1] // (ROW_HEIGHT * 96 // 64) == 2


def test_pictures_are_spread_from_first_to_last() -> None:
    assert spread(100) == [0, 20, 40, 59, 79, 99] and spread(3) == [0, 1, 2] and spread(1) == [0]


def test_a_column_may_show_pictures_that_are_no_masks(streets: Dataset) -> None:
    red = np.zeros((8, 12, 3), np.uint8)
    red[..., 2] = 255
    sheet = contact_sheet(streets, {"red": lambda index: red}, [0])
    left = 2 * (ROW_HEIGHT * 96 // 64 + 4)
    assert (sheet[-ROW_HEIGHT - 4 : -4, left:-4] == (0, 0, 255)).all()
