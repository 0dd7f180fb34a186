"""datasets/folder.py: images/SPLIT, masks/SPLIT and labels.json."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from fcn_edge.datasets.folder import open_folder
from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import SourceError
from tests.conftest import SIZE_HW, SPLITS


@pytest.fixture
def own_folder(street_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(street_folder, tmp_path / "data"))


@pytest.mark.parametrize("split", SPLITS)
def test_a_split_is_its_own_folder_in_order_of_names(street_folder: Path, split: str) -> None:
    dataset = open_folder(street_folder, split)
    assert dataset.labels == STREET_LABELS
    assert [dataset.name(k) for k in range(len(dataset))] == [f"{k:03d}.png" for k in range(SPLITS[split])]


def test_pictures_and_masks_are_those_that_were_saved(street_folder: Path) -> None:
    dataset = open_folder(street_folder, "val")
    image, mask = draw_street(1002, size_hw=SIZE_HW)
    np.testing.assert_array_equal(dataset.image(2), image)
    np.testing.assert_array_equal(dataset.mask(2), mask)


def test_a_missing_mask_is_named(own_folder: Path) -> None:
    (own_folder / "masks" / "val" / "002.png").unlink()
    with pytest.raises(SourceError, match=r"masks/val/002\.png"):
        open_folder(own_folder, "val")


def test_without_a_folder_of_masks_the_pictures_are_unlabelled(own_folder: Path) -> None:
    shutil.rmtree(own_folder / "masks" / "val")
    dataset = open_folder(own_folder, "val")
    assert (dataset.has_masks, len(dataset)) == (False, SPLITS["val"])
    assert open_folder(own_folder, "train").has_masks


def test_an_empty_folder_of_masks_is_not_taken_for_unlabelled(own_folder: Path) -> None:
    shutil.rmtree(own_folder / "masks" / "val")
    (own_folder / "masks" / "val").mkdir()
    with pytest.raises(SourceError, match="4 of 4 masks are missing"):
        open_folder(own_folder, "val")


def test_a_folder_without_pictures_is_refused(own_folder: Path) -> None:
    (own_folder / "images" / "test").mkdir()
    (own_folder / "images" / "test" / "notes.txt").touch()
    with pytest.raises(SourceError, match=r"found none in .*images/test"):
        open_folder(own_folder, "test")


def test_an_unknown_split_is_refused_by_its_folder(street_folder: Path) -> None:
    with pytest.raises(SourceError, match="images/holdout"):
        open_folder(street_folder, "holdout")


def test_a_folder_without_class_list_is_refused(own_folder: Path) -> None:
    (own_folder / "labels.json").unlink()
    with pytest.raises(SourceError, match=r"labels\.json"):
        open_folder(own_folder, "val")


def test_a_picture_that_is_damaged_is_refused_when_it_is_read(own_folder: Path) -> None:
    (own_folder / "images" / "val" / "001.png").write_text("no picture")
    dataset = open_folder(own_folder, "val")
    with pytest.raises(SourceError, match=r"images/val/001\.png"):
        dataset.image(1)
