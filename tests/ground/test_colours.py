"""datasets/colours.py: masks that were saved in the colours of their classes, in any dataset with mask PNGs."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.datasets import open_dataset
from fcn_edge.datasets.camvid import CAMVID_11
from fcn_edge.datasets.colours import ids_from_colours
from fcn_edge.errors import SourceError
from fcn_edge.images import colourise
from fcn_edge.labels import BLACK, VOID, LabelSet
from tests.ground.test_palette_png import png_file

LABELS = LabelSet(("road", "car", "sky"), ((128, 64, 128), (0, 0, 142), (70, 130, 180)))
IDS = np.array([[0, 1, 2, VOID], [2, 2, 1, 0]], np.uint8)
MASK = Path("m.png")


def bgr(rows: list[list[tuple[int, int, int]]]) -> NDArray[np.uint8]:
    return np.array(rows, np.uint8)[..., ::-1]


def test_what_colourise_paints_is_read_back() -> None:
    assert ids_from_colours(MASK, colourise(IDS, LABELS), LABELS, BLACK).tolist() == IDS.tolist()


def test_every_colour_of_255_classes_is_found() -> None:
    rng = np.random.default_rng(2)
    colours = rng.permutation(256**3 - 1)[:255] + 1
    palette = tuple((int(c) >> 16, int(c) >> 8 & 255, int(c) & 255) for c in colours)
    labels = LabelSet(tuple(f"class {k}" for k in range(255)), palette)
    ids = rng.integers(0, 256, (40, 50), np.uint8)
    assert ids_from_colours(MASK, colourise(ids, labels), labels, BLACK).tolist() == ids.tolist()


def test_void_has_the_colour_that_the_dataset_gives_it() -> None:
    image = bgr([[(224, 224, 192), (0, 0, 142)]])
    assert ids_from_colours(MASK, image, LABELS, (224, 224, 192)).tolist() == [[VOID, 1]]


def test_black_is_a_class_where_a_class_is_black() -> None:
    labels = LabelSet(("background", "car"), (BLACK, (0, 0, 142)))
    assert ids_from_colours(MASK, bgr([[BLACK, (0, 0, 142)]]), labels, BLACK).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("strange", "found"),
    [
        ([(1, 1, 1)], r"RGB \(1, 1, 1\) in 1 pixels \(1 of"),  # ids, saved in three channels
        ([(128, 64, 129)], r"RGB \(128, 64, 129\) in 1 pixels \(1 of"),  # a JPEG's
        ([(255, 255, 255)] * 2 + [(254, 0, 0)], r"RGB \(254, 0, 0\) in 1 pixels \(3 of"),
        ([(0, 0, 0)], r"RGB \(0, 0, 0\) in 1 pixels \(1 of"),
    ],
)
def test_a_colour_of_no_class_is_refused_with_file_colour_and_count(
    strange: list[tuple[int, int, int]], found: str
) -> None:
    with pytest.raises(SourceError, match=rf"^m\.png: .*{found}") as caught:
        ids_from_colours(MASK, bgr([[(0, 0, 142), *strange]]), LABELS, (9, 9, 9))
    assert len(str(caught.value).splitlines()) == 1


def test_two_classes_of_one_colour_cannot_be_told_apart() -> None:
    labels = LabelSet(("pole", "car", "polegroup"), ((153, 153, 153), (0, 0, 142), (153, 153, 153)))
    with pytest.raises(SourceError, match=r"^m\.png: .*pole and polegroup have one colour.*save 8-bit class ids"):
        ids_from_colours(MASK, bgr([[(0, 0, 142)]]), labels, BLACK)


def dataset(root: Path, kind: str, mask_file: bytes) -> str:
    """One picture of val, with this file as its mask."""
    images, masks = {"folder": ("images/val", "masks/val"), "camvid": ("val", "valannot")}[kind]
    for folder in (images, masks):
        (root / folder).mkdir(parents=True)
    assert cv2.imwrite(str(root / images / "x.png"), np.zeros((2, 4, 3), np.uint8))
    (root / masks / "x.png").write_bytes(mask_file)
    rows = [*CAMVID_11.to_json(), {"id": 11, "name": "void", "rgb": [1, 2, 3]}]
    if kind == "folder":
        (root / "labels.json").write_text(json.dumps({"classes": rows, "ignore_index": 11}))
    return f"{kind}:{root}"


def encoded(image: NDArray[np.uint8]) -> bytes:
    return bytes(cv2.imencode(".png", image)[1].tobytes())


STORED = np.array([[0, 1, 10, 11], [VOID, 10, 1, 0]], np.uint8)
READ = [[0, 1, 10, VOID], [VOID, 10, 1, 0]]


@pytest.mark.parametrize("kind", ["camvid", "folder"])
@pytest.mark.parametrize("form", ["ids", "palette", "colours", "opaque colours"])
def test_masks_of_ids_of_a_palette_and_of_colours_say_the_same(tmp_path: Path, kind: str, form: str) -> None:
    painted = colourise(STORED, CAMVID_11)  # black where void
    if kind == "folder":
        painted[np.array(READ) == VOID] = (3, 2, 1)  # the colour that its class list gives to void
    files = {
        "ids": encoded(STORED),
        "palette": png_file(STORED),
        "colours": encoded(painted),
        "opaque colours": encoded(np.dstack([painted, np.full((2, 4), 255, np.uint8)])),
    }
    assert open_dataset(dataset(tmp_path, kind, files[form]), "val").mask(0).tolist() == READ


@pytest.mark.parametrize("kind", ["camvid", "folder"])
def test_a_colour_that_a_dataset_does_not_know_names_the_mask(tmp_path: Path, kind: str) -> None:
    name = dataset(tmp_path, kind, encoded(np.full((2, 4, 3), 77, np.uint8)))
    with pytest.raises(SourceError, match=r"x\.png: .*RGB \(77, 77, 77\) in 8 pixels"):
        open_dataset(name, "val").mask(0)
