"""datasets/labelled.py: picture files and mask files, whatever the layout."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.datasets.labelled import LabelledFiles, labelled_picture, matched_masks
from fcn_edge.errors import SourceError
from fcn_edge.labels import RGB, VOID, LabelSet
from fcn_edge.palette_png import encode_palette_png

THREE = LabelSet(("a", "b", "c"), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))


def saved(path: Path, *rows: list[int]) -> Path:
    assert cv2.imwrite(str(path), np.array(rows, np.uint8))
    return path


def one_mask(path: Path, ignore_index: int = VOID) -> NDArray[np.uint8]:
    return LabelledFiles(THREE, (path,), (path,), ignore_index).mask(0)


@pytest.fixture
def pair(tmp_path: Path) -> LabelledFiles:
    image, mask = tmp_path / "x.png", tmp_path / "mask.png"
    assert cv2.imwrite(str(image), np.zeros((1, 4, 3), np.uint8))
    return LabelledFiles(THREE, (image,), (saved(mask, [0, 1, 2, 255]),))


@pytest.mark.parametrize(
    ("ignore_index", "stored", "read"),
    [
        (VOID, [0, 1, 2, 255], [0, 1, 2, VOID]),
        (3, [0, 1, 2, 3], [0, 1, 2, VOID]),
        (3, [0, 255, 2, 3], [0, VOID, 2, VOID]),  # 255 is void in any dataset
        (0, [0, 1, 2, 0], [VOID, 1, 2, VOID]),
        (-1, [0, 1, 2, 255], [0, 1, 2, VOID]),
        (300, [0, 1, 2, 255], [0, 1, 2, VOID]),
    ],
)
def test_the_void_number_of_a_dataset_becomes_ours(
    tmp_path: Path, ignore_index: int, stored: list[int], read: list[int]
) -> None:
    assert one_mask(saved(tmp_path / "m.png", stored), ignore_index).tolist() == [read]


@pytest.mark.parametrize(("stored", "found"), [([0, 3, 3, 9], "found 3 in 3 pixels"), ([254], "found 254 in 1 pixels")])
def test_a_stray_id_is_refused_with_the_file_the_ids_and_their_number(
    tmp_path: Path, stored: list[int], found: str
) -> None:
    with pytest.raises(SourceError, match=rf"m\.png: wanted class ids 0\.\.2 or void \(11\), {found}"):
        one_mask(saved(tmp_path / "m.png", stored), 11)


def test_a_mask_of_another_size_than_its_picture_is_refused_with_both_sizes(pair: LabelledFiles) -> None:
    saved(pair.mask_paths[0], [0, 1, 2])
    with pytest.raises(SourceError, match=r"one size, found \(1, 4\) and \(1, 3\) for x\.png"):
        labelled_picture(pair, 0)


def test_each_picture_has_the_mask_of_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "masks").mkdir()
    for name in ("b.png", "a.png", "other.png"):
        (tmp_path / "masks" / name).touch()
    found = matched_masks((tmp_path / "a.jpg", tmp_path / "b.jpeg"), tmp_path / "masks")
    assert found == (tmp_path / "masks" / "a.png", tmp_path / "masks" / "b.png")


def test_missing_masks_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    pictures = tuple(tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg"))
    with pytest.raises(SourceError, match=r"b\.png.*2 of 3 masks are missing"):
        matched_masks(pictures, tmp_path)


def test_a_mask_of_another_kind_of_file_is_named_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.PNG").touch()
    with pytest.raises(SourceError, match=r"a\.png, found a\.PNG there .*save them as \.png"):
        matched_masks((tmp_path / "a.jpg",), tmp_path)


RED, GREEN, BLUE = (200, 0, 0), (0, 200, 0), (0, 0, 200)


def one_palette_mask(folder: Path, ids: list[int], palette: list[RGB]) -> NDArray[np.uint8]:
    """Of three classes that are red, green and blue, from a PNG of these indices and this palette."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = np.array(palette)[:, ::-1]
    (folder / "m.png").write_bytes(encode_palette_png(np.array([ids], np.uint8), table))
    labels = LabelSet(("red", "green", "blue"), (RED, GREEN, BLUE))
    return LabelledFiles(labels, (folder / "m.png",), (folder / "m.png",)).mask(0)


@pytest.mark.parametrize("ids", [[0, 1, 2], [0, 2, 2], [1, 0, 1]])
def test_a_palette_that_numbers_the_classes_otherwise_is_refused(tmp_path: Path, ids: list[int]) -> None:
    with pytest.raises(SourceError, match=r"m\.png: .*own colour, found \d in that of (red|blue|green)"):
        one_palette_mask(tmp_path, ids, [BLUE, RED, GREEN])


@pytest.mark.parametrize("palette", [[RED, GREEN, BLUE], [(0, 0, 0), (1, 1, 1), (2, 2, 2)], [GREEN, (9, 9, 9), RED]])
def test_a_palette_of_the_classes_own_colours_or_of_others_is_read_by_its_ids(
    tmp_path: Path, palette: list[RGB]
) -> None:
    assert one_palette_mask(tmp_path, [0, 1, 2, 255], palette).tolist() == [[0, 1, 2, VOID]]


def test_pictures_without_labels_have_no_masks_to_ask_for(pair: LabelledFiles) -> None:
    bare = LabelledFiles(THREE, pair.image_paths, ())
    assert (bare.has_masks, len(bare)) == (False, 1)
    with pytest.raises(SourceError, match=r"x\.png.*no labels"):
        bare.mask(0)


def test_a_picture_is_called_by_its_file(pair: LabelledFiles) -> None:
    assert pair.name(0) == "x.png"


def test_a_digest_is_the_same_until_something_changes(pair: LabelledFiles) -> None:
    assert pair.digest() == LabelledFiles(THREE, pair.image_paths, pair.mask_paths).digest()


def test_a_digest_changes_with_one_pixel_of_a_picture(pair: LabelledFiles) -> None:
    before, image = pair.digest(), pair.image(0)
    image[0, 0, 0] += 1
    assert cv2.imwrite(str(pair.image_paths[0]), image)
    assert pair.digest() != before


def test_a_digest_changes_with_one_pixel_of_a_mask(pair: LabelledFiles) -> None:
    before = pair.digest()
    saved(pair.mask_paths[0], [0, 1, 1, 255])
    assert pair.digest() != before


def test_a_digest_knows_where_one_file_ends_and_the_next_begins(tmp_path: Path) -> None:
    files = LabelledFiles(THREE, (tmp_path / "a.png", tmp_path / "b.png"), ())
    digests = set()
    for contents in ((b"xy", b"z"), (b"x", b"yz"), (b"z", b"xy")):
        for path, content in zip(files.image_paths, contents, strict=True):
            path.write_bytes(content)
        digests.add(files.digest())
    assert len(digests) == 3


def test_a_file_that_is_gone_is_named_by_the_digest(pair: LabelledFiles) -> None:
    pair.mask_paths[0].unlink()
    with pytest.raises(SourceError, match=r"mask\.png"):
        pair.digest()
