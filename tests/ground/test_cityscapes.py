"""datasets/cityscapes.py on a miniature of leftImg8bit/ and gtFine/."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fcn_edge.datasets import labelled_picture, open_dataset, require_masks
from fcn_edge.datasets.cityscapes import CITYSCAPES_19, open_cityscapes
from fcn_edge.errors import SourceError
from fcn_edge.labels import VOID
from tests.ground.miniatures import SIZE_HW, write_cityscapes

# The trainId of each of the ids 0..33, typed from the published table (helpers/labels.py), 255 where it ignores one.
TRAIN_IDS = [
    *(255, 255, 255, 255, 255, 255, 255, 0, 1, 255, 255, 2, 3, 4, 255, 255, 255, 5, 255, 6, 7, 8, 9, 10, 11),
    *(12, 13, 14, 15, 255, 255, 16, 17, 18),
]
CITIES = {"train": ["zurich", "aachen"], "val": ["frankfurt"], "test": ["berlin"]}
FIRST_MASK = Path("gtFine/val/frankfurt/frankfurt_000000_000000_gtFine_labelIds.png")


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    return write_cityscapes(tmp_path, CITIES)


def train_ids_beside(path: Path) -> Path:
    return path.with_name(path.name.replace("labelIds", "labelTrainIds"))


def test_names_and_colours_are_the_published_ones() -> None:
    assert len(CITYSCAPES_19) == 19
    assert [CITYSCAPES_19.names[k] for k in (0, 6, 8, 18)] == ["road", "traffic light", "vegetation", "bicycle"]
    assert [CITYSCAPES_19.palette[k] for k in (0, 10, 13, 18)] == [
        *((128, 64, 128), (70, 130, 180), (0, 0, 142), (119, 11, 32)),
    ]


def test_a_split_is_its_cities_in_order_of_their_names(cityscapes: Path) -> None:
    dataset = open_cityscapes(cityscapes, "train")
    assert [dataset.name(k) for k in range(len(dataset))] == [
        *("aachen_000000_000000_leftImg8bit.png", "aachen_000000_000001_leftImg8bit.png"),
        *("zurich_000000_000000_leftImg8bit.png", "zurich_000000_000001_leftImg8bit.png"),
    ]


def test_ids_become_the_nineteen_classes_and_void(cityscapes: Path) -> None:
    dataset = open_dataset(f"cityscapes:{cityscapes}", "val")
    image, mask = labelled_picture(dataset, 0)
    assert dataset.labels == CITYSCAPES_19 and image.shape == (*SIZE_HW, 3)
    assert mask.ravel()[:34].tolist() == TRAIN_IDS


def test_ready_made_train_ids_are_read_as_they_are_where_ids_are_missing(cityscapes: Path) -> None:
    ids = cityscapes / FIRST_MASK
    ready = np.arange(48, dtype=np.uint8).reshape(SIZE_HW) % 19
    ready[0, 0] = VOID
    assert cv2.imwrite(str(train_ids_beside(ids)), ready)
    assert open_cityscapes(cityscapes, "val").mask(0).ravel()[:34].tolist() == TRAIN_IDS
    ids.unlink()
    assert open_cityscapes(cityscapes, "val").mask(0).tolist() == ready.tolist()


def test_the_labels_of_test_are_dummies_and_its_pictures_unlabelled(cityscapes: Path) -> None:
    dataset = open_cityscapes(cityscapes, "test")
    assert (len(dataset), dataset.has_masks) == (2, False)
    with pytest.raises(SourceError, match="found no masks in cityscapes:mine"):
        require_masks(dataset, "cityscapes:mine")


def test_pictures_of_a_split_without_ground_truth_are_unlabelled(cityscapes: Path) -> None:
    (cityscapes / "leftImg8bit" / "demoVideo").symlink_to(cityscapes / "leftImg8bit" / "val")
    assert not open_cityscapes(cityscapes, "demoVideo").has_masks


def test_a_missing_mask_is_named_by_both_its_names(cityscapes: Path) -> None:
    (cityscapes / FIRST_MASK).unlink()
    with pytest.raises(SourceError, match=rf"{FIRST_MASK} \(or frankfurt_000000_000000_gtFine_labelTrainIds\.png\)"):
        open_cityscapes(cityscapes, "val")


@pytest.mark.parametrize("split", ["train_extra", "VAL", ""])
def test_a_split_without_pictures_says_where_they_were_looked_for(cityscapes: Path, split: str) -> None:
    with pytest.raises(SourceError, match=r"leftImg8bit/.*CITY/x_leftImg8bit\.png, found none; check --split"):
        open_cityscapes(cityscapes, split)


@pytest.mark.parametrize("value", [34, 254])
def test_an_id_that_cityscapes_does_not_have_is_refused(cityscapes: Path, value: int) -> None:
    assert cv2.imwrite(str(cityscapes / FIRST_MASK), np.full(SIZE_HW, value, np.uint8))
    with pytest.raises(
        SourceError, match=rf"labelIds\.png: wanted Cityscapes' ids 0\.\.33, found {value} in 48 pixels"
    ):
        open_cityscapes(cityscapes, "val").mask(0)


def test_train_ids_beyond_the_nineteen_are_refused(cityscapes: Path) -> None:
    ids = cityscapes / FIRST_MASK
    ids.rename(train_ids_beside(ids))  # label ids under the name of train ids
    with pytest.raises(SourceError, match=r"labelTrainIds\.png: wanted class ids 0\.\.18 .*found 19 in 15 pixels"):
        open_cityscapes(cityscapes, "val").mask(0)


def test_colours_in_the_place_of_ids_are_refused(cityscapes: Path) -> None:
    assert cv2.imwrite(str(cityscapes / FIRST_MASK), np.zeros((*SIZE_HW, 3), np.uint8))
    with pytest.raises(SourceError, match=r"labelIds\.png: .*found 3 channels"):
        open_cityscapes(cityscapes, "val").mask(0)


def test_a_mask_that_is_cut_short_is_refused_by_name(cityscapes: Path) -> None:
    path = cityscapes / FIRST_MASK
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"labelIds\.png: .*damaged"):
        open_cityscapes(cityscapes, "val").mask(0)


def test_a_mask_of_another_size_is_refused_with_both_sizes(cityscapes: Path) -> None:
    assert cv2.imwrite(str(cityscapes / FIRST_MASK), np.full((3, 8), 7, np.uint8))
    with pytest.raises(SourceError, match=r"\(6, 8\) and \(3, 8\) for frankfurt_000000_000000_leftImg8bit\.png"):
        labelled_picture(open_cityscapes(cityscapes, "val"), 0)
