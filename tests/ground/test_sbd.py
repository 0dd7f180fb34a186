"""datasets/sbd.py on a miniature of benchmark_RELEASE/dataset."""

from pathlib import Path

import numpy as np
import pytest

from fcn_edge.datasets import labelled_picture, open_dataset
from fcn_edge.datasets.voc_labels import VOC_21
from fcn_edge.errors import SourceError
from tests.ground.miniatures import label_of, sbd_mask, write_mat, write_picture, write_sbd

SBD_LISTS = {"train": ["2008_000009", "2008_000015", "2009_000011", "2010_000020"], "val": ["2011_000003"]}


@pytest.mark.parametrize("place", ["benchmark_RELEASE/dataset", "benchmark_RELEASE", "."])
@pytest.mark.parametrize("split", SBD_LISTS)
def test_sbd_is_read_from_its_mat_files(tmp_path: Path, place: str, split: str) -> None:
    write_sbd(tmp_path, SBD_LISTS)
    dataset = open_dataset(f"sbd:{tmp_path / place}", split)
    assert dataset.labels == VOC_21
    for index, name in enumerate(SBD_LISTS[split]):
        image, mask = labelled_picture(dataset, index)
        assert (dataset.name(index), image.shape) == (f"{name}.jpg", (6, 8, 3))
        assert mask.tolist() == sbd_mask(label_of(name)).tolist()
        assert mask.flags.c_contiguous and mask.flags.writeable


def test_another_list_beside_those_of_sbd_is_a_split(tmp_path: Path) -> None:
    root = write_sbd(tmp_path, SBD_LISTS)
    (root / "train_noval.txt").write_text("2010_000020\r\n")
    assert len(open_dataset(f"sbd:{tmp_path}", "train_noval")) == 1
    with pytest.raises(SourceError, match="choose one of train, train_noval, val"):
        open_dataset(f"sbd:{tmp_path}", "test")


def test_a_folder_without_sbd_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="wanted benchmark_RELEASE/dataset/cls in"):
        open_dataset(f"sbd:{tmp_path}", "train")


def test_a_mat_file_of_instances_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    write_sbd(tmp_path, SBD_LISTS)
    name = Path("benchmark_RELEASE/dataset/cls/2011_000003.mat")
    write_mat(tmp_path / name, "GTinst", sbd_mask(1))
    with pytest.raises(SourceError, match=r"cls/2011_000003\.mat: wanted GTcls\.Segmentation .*found no .*but GTinst"):
        open_dataset(f"sbd:{tmp_path}", "val").mask(0)


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        (sbd_mask(3).astype(np.float64) + 0.5, "numbers from 0.5 to 3.5"),
        (sbd_mask(3).astype(np.int16) - 1, "numbers from -1 to 2"),
        (np.zeros((6, 8, 2), np.uint8), "3 dimensions"),
        (sbd_mask(33), r"found 33 in 6 pixels"),
    ],
)
def test_numbers_that_are_no_class_ids_are_refused(tmp_path: Path, stored: object, found: str) -> None:
    root = write_sbd(tmp_path, SBD_LISTS)
    write_mat(root / "cls" / "2011_000003.mat", "GTcls", stored)
    with pytest.raises(SourceError, match=rf"cls/2011_000003\.mat: .*{found}"):
        open_dataset(f"sbd:{tmp_path}", "val").mask(0)


def test_ids_that_were_saved_as_doubles_are_read(tmp_path: Path) -> None:
    root = write_sbd(tmp_path, SBD_LISTS)
    write_mat(root / "cls" / "2011_000003.mat", "GTcls", sbd_mask(3).astype(np.float64))
    assert open_dataset(f"sbd:{tmp_path}", "val").mask(0).tolist() == sbd_mask(3).tolist()


def test_a_mat_file_that_is_cut_short_is_refused_by_name(tmp_path: Path) -> None:
    path = write_sbd(tmp_path, SBD_LISTS) / "cls" / "2011_000003.mat"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SourceError, match=r"2011_000003\.mat: .*found data cut short; unpack"):
        open_dataset(f"sbd:{tmp_path}", "val").mask(0)


def test_a_picture_of_sbd_that_is_gone_is_named_with_its_list(tmp_path: Path) -> None:
    root = write_sbd(tmp_path, SBD_LISTS)
    (root / "img" / "2010_000020.jpg").unlink()
    with pytest.raises(SourceError, match=r"train\.txt lists 2010_000020: .*img/2010_000020\.jpg, found none \(1 of 8"):
        open_dataset(f"sbd:{tmp_path}", "train")
    write_picture(root / "img" / "2010_000020.jpg")
    assert len(open_dataset(f"sbd:{tmp_path}", "train")) == 4
