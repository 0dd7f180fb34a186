"""datasets/camvid.py: SPLIT/, SPLITannot/ and perhaps classes.json."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from fcn_edge.datasets.camvid import CAMVID_11, open_camvid
from fcn_edge.errors import SourceError
from fcn_edge.labels import VOID


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """Two pictures of val: 0.jpg is all class 0, 1.png all class 1, but for a void pixel in the corner."""
    for folder in ("val", "valannot"):
        (tmp_path / folder).mkdir()
    for index, suffix in enumerate(("jpg", "png")):
        mask = np.full((4, 6), index, np.uint8)
        mask[0, 0] = 11
        assert cv2.imwrite(str(tmp_path / "val" / f"{index}.{suffix}"), np.zeros((4, 6, 3), np.uint8))
        assert cv2.imwrite(str(tmp_path / "valannot" / f"{index}.png"), mask)
    return tmp_path


def test_without_a_class_list_the_eleven_classes_hold_and_11_is_void(camvid: Path) -> None:
    dataset = open_camvid(camvid, "val")
    assert dataset.labels == CAMVID_11 and len(CAMVID_11) == 11
    assert dataset.mask(1)[0].tolist() == [VOID, 1, 1, 1, 1, 1]


def test_pictures_may_be_jpg_or_png_and_masks_are_png(camvid: Path) -> None:
    dataset = open_camvid(camvid, "val")
    assert [dataset.name(k) for k in range(len(dataset))] == ["0.jpg", "1.png"]
    assert [path.name for path in dataset.mask_paths] == ["0.png", "1.png"]


def test_a_class_list_in_the_folder_counts(camvid: Path) -> None:
    rows = [{"id": k, "name": f"c{k}", "rgb": [k, k, k]} for k in range(12)]
    (camvid / "classes.json").write_text(json.dumps({"classes": rows}))
    dataset = open_camvid(camvid, "val")
    assert len(dataset.labels) == 12
    assert dataset.mask(0)[0, 0] == 11


def test_a_broken_class_list_is_not_passed_over(camvid: Path) -> None:
    (camvid / "classes.json").write_text("{")
    with pytest.raises(SourceError, match=r"classes\.json"):
        open_camvid(camvid, "val")


def test_the_original_layout_is_told_from_the_tutorials(tmp_path: Path) -> None:
    for name in ("701_StillsRaw_full", "LabeledApproved_full"):
        (tmp_path / name).mkdir()
    with pytest.raises(SourceError, match=r"val/ beside valannot/.*701_StillsRaw_full, LabeledApproved_full; .*11"):
        open_camvid(tmp_path, "val")


@pytest.mark.parametrize("missing", ["valannot/1.png", "valannot/0.png"])
def test_a_missing_mask_is_named(camvid: Path, missing: str) -> None:
    (camvid / missing).unlink()
    with pytest.raises(SourceError, match=missing):
        open_camvid(camvid, "val")


def test_a_split_that_is_not_there_is_named(camvid: Path) -> None:
    with pytest.raises(SourceError, match="test"):
        open_camvid(camvid, "test")


def test_an_empty_split_is_refused(camvid: Path) -> None:
    (camvid / "test").mkdir()
    with pytest.raises(SourceError, match="wanted the pictures of test, found none"):
        open_camvid(camvid, "test")


@pytest.mark.realdata
@pytest.mark.parametrize(("split", "pictures"), [("train", 367), ("val", 101)])
def test_the_real_camvid_has_its_known_number_of_pictures(real_data: Path, split: str, pictures: int) -> None:
    dataset = open_camvid(real_data / "camvid", split)
    assert (len(dataset), dataset.has_masks) == (pictures, True)


@pytest.mark.realdata
def test_the_class_list_of_the_real_camvid_is_the_built_in_one(real_data: Path) -> None:
    dataset = open_camvid(real_data / "camvid", "val")
    assert dataset.labels.palette == CAMVID_11.palette
    assert len(dataset.labels.names) == 11
    assert dataset.ignore_index == 11


@pytest.mark.realdata
def test_masks_of_the_real_camvid_hold_every_class_and_void(real_data: Path) -> None:
    dataset = open_camvid(real_data / "camvid", "val")
    seen = set().union(*(np.unique(dataset.mask(k)).tolist() for k in range(len(dataset))))
    assert seen == {*range(11), VOID}
