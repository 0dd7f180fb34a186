"""datasets/voc.py on a miniature of VOCdevkit/VOC2012, alone and with SBD beside it."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from fcn_edge.datasets import labelled_picture, open_dataset
from fcn_edge.datasets.voc import VOC_21, open_voc
from fcn_edge.datasets.voc_labels import VOC_VOID_RGB
from fcn_edge.errors import SourceError
from tests.ground.miniatures import (
    VOC_BOUNDARY,
    VOC_COLOURS,
    label_of,
    sbd_mask,
    voc_mask,
    voc_palette,
    write_sbd,
    write_voc,
)
from tests.ground.test_palette_png import png_file

TRAIN = ["2007_000032", "2008_000015"]
VAL = ["2007_000033", "2008_000009", "2009_000011"]
LISTS = {"train": TRAIN, "val": VAL, "trainval": sorted(TRAIN + VAL)}

# SBD's train holds one of VOC's train and two of its val; SBD's val another of VOC's val.
SBD_LISTS = {"train": ["2008_000009", "2008_000015", "2009_000011", "2010_000020"], "val": ["2011_000003"]}


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return write_voc(tmp_path, LISTS)


@pytest.fixture
def both(voc: Path, tmp_path: Path) -> Path:
    """The folder that holds VOCdevkit and benchmark_RELEASE."""
    write_sbd(tmp_path, SBD_LISTS)
    return tmp_path


def names_of(folder: Path, split: str) -> list[str]:
    dataset = open_voc(folder, split)
    return [dataset.name(index).removesuffix(".jpg") for index in range(len(dataset))]


def segmentation_list(voc: Path, split: str) -> Path:
    return voc / "ImageSets" / "Segmentation" / f"{split}.txt"


def test_names_and_colours_are_the_published_ones() -> None:
    assert VOC_21.palette == VOC_COLOURS and VOC_VOID_RGB == VOC_BOUNDARY
    assert (VOC_21.names[0], VOC_21.names[1], VOC_21.names[15], VOC_21.names[20]) == (
        *("background", "aeroplane", "person", "tvmonitor"),
    )
    assert list(VOC_21.names[1:]) == sorted(VOC_21.names[1:])  # VOC's classes are in alphabetical order


@pytest.mark.parametrize("split", LISTS)
def test_a_split_is_its_list(voc: Path, split: str) -> None:
    assert names_of(voc, split) == LISTS[split]


@pytest.mark.parametrize("place", ["VOCdevkit/VOC2012", "VOCdevkit", "."])
def test_the_folder_may_be_voc2012_or_what_holds_it(voc: Path, tmp_path: Path, place: str) -> None:
    dataset = open_dataset(f"voc:{tmp_path / place}", "val")
    assert len(dataset) == 3 and dataset.labels == VOC_21


def test_palette_masks_are_class_ids_and_255_is_void(voc: Path) -> None:
    dataset = open_voc(voc, "train")
    for index, name in enumerate(TRAIN):
        image, mask = labelled_picture(dataset, index)
        assert image.shape == (6, 8, 3)
        assert mask.tolist() == voc_mask(label_of(name)).tolist()


def test_masks_that_lost_their_palette_to_colours_say_the_same(voc: Path) -> None:
    path = voc / "SegmentationClass" / f"{TRAIN[0]}.png"
    mask = voc_mask(label_of(TRAIN[0]))
    assert cv2.imwrite(str(path), voc_palette()[mask][..., ::-1])
    assert open_voc(voc, "train").mask(0).tolist() == mask.tolist()


@pytest.mark.parametrize("content", [b"%s\r\n%s\r\n", b"  %s \n\n%s\t", b"\xef\xbb\xbf%s\n%s\n\n", b"%s\n%s"], ids=repr)
def test_lists_may_have_any_line_ends_spaces_and_a_byte_order_mark(voc: Path, content: bytes) -> None:
    segmentation_list(voc, "train").write_bytes(content % tuple(name.encode() for name in TRAIN))
    assert names_of(voc, "train") == TRAIN


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "found none"),
        (b"\r\n \n", "found none"),
        (b"2007_000032 1\n2008_000015 -1\n", "found '2007_000032 1'"),
        (b"2007_000032\n2008_000015\n2007_000032\n", "found 2007_000032 2 times"),
        (b"\xff\xfe2\x00", "no text"),
    ],
)
def test_a_list_that_is_none_is_refused_by_name(voc: Path, content: bytes, found: str) -> None:
    segmentation_list(voc, "train").write_bytes(content)
    with pytest.raises(SourceError, match=rf"Segmentation/train\.txt: .*{found}"):
        open_voc(voc, "train")


@pytest.mark.parametrize("file", ["JPEGImages/2008_000009.jpg", "SegmentationClass/2008_000009.png"])
def test_a_listed_file_that_is_missing_is_named_with_its_list(voc: Path, file: str) -> None:
    (voc / file).unlink()
    with pytest.raises(
        SourceError, match=rf"val\.txt lists 2008_000009: wanted .*{file}, found none \(1 of 6 files are missing\)"
    ):
        open_voc(voc, "val")


def test_a_split_without_list_names_the_splits_there_are(voc: Path) -> None:
    with pytest.raises(
        SourceError, match=r"Segmentation/test\.txt; choose one of train, trainval, val, sbd, train\+sbd, segvalid"
    ):
        open_voc(voc, "test")


@pytest.mark.parametrize("split", ["../Segmentation/val", "/etc/passwd", "", "val.txt"])
def test_a_split_is_a_name_and_no_path(voc: Path, split: str) -> None:
    with pytest.raises(SourceError, match="choose one of train"):
        open_voc(voc, split)


def test_a_folder_without_voc_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="wanted VOCdevkit/VOC2012/ImageSets/Segmentation in"):
        open_voc(tmp_path, "val")


def test_an_id_of_no_class_is_refused_with_file_value_and_count(voc: Path) -> None:
    mask = voc_mask(21)
    (voc / "SegmentationClass" / f"{VAL[1]}.png").write_bytes(png_file(mask, colours=voc_palette()))
    with pytest.raises(SourceError, match=r"2008_000009\.png: wanted class ids 0\.\.20 .*found 21 in 6 pixels"):
        open_voc(voc, "val").mask(1)


def test_a_mask_of_another_size_is_refused_with_both_sizes(voc: Path) -> None:
    (voc / "SegmentationClass" / f"{VAL[0]}.png").write_bytes(png_file(voc_mask(1)[:-1], colours=voc_palette()))
    with pytest.raises(SourceError, match=r"\(6, 8\) and \(5, 8\) for 2007_000033\.jpg"):
        labelled_picture(open_voc(voc, "val"), 0)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.99])
def test_a_mask_that_is_cut_short_is_refused_by_name(voc: Path, share: float) -> None:
    path = voc / "SegmentationClass" / f"{VAL[0]}.png"
    noise = np.random.default_rng(0).integers(0, 21, (6, 8), np.uint8)
    whole = png_file(noise, colours=voc_palette())
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SourceError, match=r"SegmentationClass/2007_000033\.png: .*damaged"):
        open_voc(voc, "val").mask(0)


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("sbd", SBD_LISTS["train"]),
        ("train+sbd", ["2007_000032", "2008_000009", "2008_000015", "2009_000011", "2010_000020"]),
        ("segvalid", ["2007_000033"]),
        ("trainaug", ["2007_000032", "2008_000015", "2010_000020", "2011_000003"]),
        ("val", VAL),
    ],
)
@pytest.mark.parametrize("place", ["VOCdevkit/VOC2012", "VOCdevkit", "."])
def test_splits_of_both_datasets(both: Path, split: str, names: list[str], place: str) -> None:
    assert names_of(both / place, split) == names


@pytest.mark.parametrize(
    ("training", "scoring"), [("sbd", "segvalid"), ("train+sbd", "segvalid"), ("trainaug", "val"), ("train", "val")]
)
def test_no_picture_is_both_learnt_and_scored(both: Path, training: str, scoring: str) -> None:
    assert not {*names_of(both, training)} & {*names_of(both, scoring)}


def test_where_both_label_a_picture_the_label_of_voc_counts(both: Path) -> None:
    dataset = open_voc(both, "train+sbd")
    labels = {dataset.name(k).removesuffix(".jpg"): dataset.mask(k).tolist() for k in range(len(dataset))}
    assert labels["2008_000015"] == voc_mask(15).tolist()
    assert labels["2010_000020"] == sbd_mask(20).tolist()


def test_the_split_sbd_has_the_labels_of_sbd_alone(both: Path) -> None:
    dataset = open_voc(both, "sbd")
    assert dataset.mask(1).tolist() == sbd_mask(15).tolist()


def test_sbd_may_lie_in_vocdevkit_too(voc: Path, tmp_path: Path) -> None:
    write_sbd(tmp_path / "VOCdevkit", SBD_LISTS)
    assert names_of(tmp_path, "segvalid") == ["2007_000033"]


@pytest.mark.parametrize("split", ["sbd", "train+sbd", "segvalid", "trainaug"])
def test_without_sbd_its_splits_say_where_it_was_looked_for(voc: Path, split: str) -> None:
    with pytest.raises(SourceError, match=r"benchmark_RELEASE/dataset beside VOC, found none in .*VOCdevkit or"):
        open_voc(voc, split)


def test_the_published_list_of_the_paper_is_a_split_once_it_is_there(both: Path) -> None:
    with pytest.raises(SourceError, match=r"Segmentation/seg11valid\.txt, found none; copy .* or choose segvalid"):
        open_voc(both, "seg11valid")
    segmentation_list(both / "VOCdevkit" / "VOC2012", "seg11valid").write_text("2007_000033\n")
    assert names_of(both, "seg11valid") == ["2007_000033"]


def test_segvalid_needs_no_more_of_sbd_than_its_list(voc: Path, tmp_path: Path) -> None:
    dataset = tmp_path / "benchmark_RELEASE" / "dataset"
    dataset.mkdir(parents=True)
    (dataset / "train.txt").write_text("2009_000011\n")
    assert names_of(voc, "segvalid") == ["2007_000033", "2008_000009"]


def test_nothing_left_to_score_is_refused(both: Path) -> None:
    (both / "benchmark_RELEASE" / "dataset" / "train.txt").write_text("\n".join(VAL))
    with pytest.raises(SourceError, match=r"pictures for segvalid of .*found none left"):
        open_voc(both, "segvalid")
