"""images.py: pictures and masks from files, in and out of a model's size."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.errors import SourceError
from fcn_edge.images import colourise, fit_frame, list_images, read_image, read_mask, restore_mask
from fcn_edge.labels import LabelSet
from tests.ground.test_palette_png import packed, png_file

Image = NDArray[np.uint8]

# OpenCV reads its limit of pixels once; in this process it was loaded before fcn-edge could say one. Each of these
# scripts starts as a user's process does.
FRESH = {name: value for name, value in os.environ.items() if not name.startswith("OPENCV_")}

READ_ALL = """
import json, sys
from pathlib import Path
from fcn_edge.errors import SourceError
from fcn_edge.images import MAX_PIXELS, read_image
import cv2

found = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        expected = cv2.imread(str(path), cv2.IMREAD_COLOR)
    except cv2.error:
        expected = None
    try:
        image = read_image(path)
        right = expected is not None and image.shape == expected.shape and (image == expected).all()
        found[path.name] = "read" if right else "read, but not as cv2.imread does"
    except SourceError as error:
        lines = len(str(error).splitlines())
        found[path.name] = "refused" if expected is None and lines == 1 else "refused, but cv2.imread reads it"
# VmHWM and not ru_maxrss, which counts what the parent held when it started this process
status = open("/proc/self/status").read()
peak = int(status.split("VmHWM:")[1].split()[0])
print(json.dumps({"found": found, "peak_kib": peak}))
"""

BOMB = """
import importlib, sys
import fcn_edge.__main__
importlib.import_module(sys.argv[2])
import cv2
try:
    cv2.imread(sys.argv[1], cv2.IMREAD_UNCHANGED)
    print("OpenCV unpacked it")
except cv2.error:
    print("OpenCV refused it")
"""


def fresh(script: str, *arguments: object) -> str:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=FRESH)
    assert done.returncode == 0, done.stderr
    return done.stdout


def picture(height: int = 6, width: int = 7, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def written(path: Path, image: Image) -> Path:
    assert cv2.imwrite(str(path), image)
    return path


def bomb(path: Path) -> Path:
    """A whole, decodable palette PNG of 64 megapixels in a few kilobytes."""
    path.write_bytes(png_file(np.zeros((8000, 1000), np.uint8), bit_depth=1))
    return path


@pytest.mark.parametrize("name", ["a.png", "b.jpg", "c.bmp", "d.tiff", "with space é.png"])
def test_a_picture_is_what_imread_gives(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, picture())
    np.testing.assert_array_equal(read_image(path), cv2.imread(str(path), cv2.IMREAD_COLOR))


def test_a_grey_picture_has_three_channels(tmp_path: Path) -> None:
    assert read_image(written(tmp_path / "grey.png", picture()[..., 0])).shape == (6, 7, 3)


@pytest.mark.parametrize("read", [read_image, read_mask])
@pytest.mark.parametrize("case", ["missing", "empty", "text", "directory", "cut", "bomb"])
def test_what_is_no_picture_is_refused_in_one_line_with_its_name(
    tmp_path: Path, case: str, read: Callable[[Path], Image]
) -> None:
    path = tmp_path / f"{case}.png"
    if case == "empty":
        path.touch()
    elif case == "text":
        path.write_text("these are words")
    elif case == "directory":
        path.mkdir()
    elif case == "cut":
        path.write_bytes(png_file(np.zeros((4, 4), np.uint8))[:20])
    elif case == "bomb":
        bomb(path)
    with pytest.raises(SourceError) as caught:
        read(path)
    assert path.name in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("reader", ["read_image", "read_mask"])
def test_a_bomb_is_refused_by_a_process_in_which_opencv_knows_the_limit(tmp_path: Path, reader: str) -> None:
    script = f"""
import sys
from pathlib import Path
from fcn_edge.errors import SourceError
from fcn_edge.images import {reader}
try:
    {reader}(Path(sys.argv[1]))
except SourceError as error:
    print(error)
"""
    lines = fresh(script, bomb(tmp_path / "bomb.png")).splitlines()
    assert len(lines) == 1 and "bomb.png" in lines[0] and "50 megapixels" in lines[0]


@pytest.mark.parametrize(
    "module", ["fcn_edge.datasets", "fcn_edge.training.cli", "export.cli", "export.demo", "runtime.cli"]
)
def test_the_limit_of_pixels_is_set_before_opencv_is_loaded(tmp_path: Path, module: str) -> None:
    assert fresh(BOMB, bomb(tmp_path / "bomb.png"), module).strip() == "OpenCV refused it"


def test_a_grey_mask_is_read_as_its_numbers(tmp_path: Path) -> None:
    mask = np.arange(42, dtype=np.uint8).reshape(6, 7) * 6
    np.testing.assert_array_equal(read_mask(written(tmp_path / "m.png", mask)), mask)


@pytest.mark.parametrize("bit_depth", [1, 4, 8])
def test_a_palette_mask_is_read_as_its_indices(tmp_path: Path, bit_depth: int) -> None:
    mask = np.random.default_rng(1).integers(0, 2**bit_depth, (5, 8), np.uint8)
    (tmp_path / "m.png").write_bytes(png_file(packed(mask, bit_depth), bit_depth))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), mask)


@pytest.mark.parametrize(
    ("image", "found"),
    [(picture(), "3 channels"), (np.zeros((4, 4, 4), np.uint8), "4 channels"), (np.zeros((4, 4), np.uint16), "uint16")],
)
def test_a_mask_of_colours_or_16_bits_is_refused(tmp_path: Path, image: Image, found: str) -> None:
    path = written(tmp_path / "m.png", image)
    with pytest.raises(SourceError, match=rf"m\.png.*{found}"):
        read_mask(path)


def test_pictures_of_a_folder_come_sorted_and_nothing_else_with_them(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "c.jpeg", "notes.txt", "Thumbs.db", "d.csv"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png", "c.jpeg"]


@pytest.mark.parametrize("name", ["nowhere", "file.png"])
def test_listing_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file.png").touch()
    with pytest.raises(SourceError, match=name):
        list_images(tmp_path / name)


def test_a_frame_of_the_right_size_is_passed_through() -> None:
    frame = picture()
    assert fit_frame(frame, (6, 7)) is frame


def test_a_frame_is_stretched_bilinearly_with_pixel_centres_aligned() -> None:
    frame = np.array([[[0] * 3, [100] * 3]], np.uint8)
    assert fit_frame(frame, (1, 4))[0, :, 0].tolist() == [0, 25, 75, 100]


def test_a_size_is_height_then_width() -> None:
    assert fit_frame(picture(), (10, 20)).shape == (10, 20, 3)
    assert restore_mask(picture()[..., 0], (10, 20)).shape == (10, 20)


def test_a_mask_of_the_right_size_is_passed_through() -> None:
    mask = picture()[..., 0]
    assert restore_mask(mask, (6, 7)) is mask


@pytest.mark.parametrize(
    ("row", "restored"),
    [
        ([1, 2, 3], [1, 3]),  # centres at 0.75 and 2.25; a nearest that aligns corners gives 1, 2
        ([1, 2, 3, 4, 5], [1, 3, 5]),  # 0.83, 2.5, 4.17
        ([1, 2], [1, 1, 2, 2]),
        ([1, 2, 3], [1, 1, 2, 3, 3]),  # 0.3, 0.9, 1.5, 2.1, 2.7
        ([9, 200], [9, 9, 9, 200, 200, 200]),
    ],
)
def test_a_mask_is_restored_by_its_nearest_pixel_centre(row: list[int], restored: list[int]) -> None:
    mask = np.array([row], np.uint8)
    assert restore_mask(mask, (1, len(restored))).tolist() == [restored]
    assert restore_mask(np.ascontiguousarray(mask.T), (len(restored), 1)).T.tolist() == [restored]


def test_restoring_a_mask_makes_up_no_class() -> None:
    mask = np.random.default_rng(3).choice(np.array([0, 7, 255], np.uint8), (31, 17))
    assert set(np.unique(restore_mask(mask, (97, 121)))) == {0, 7, 255}


def test_a_coloured_mask_shows_the_palette_in_bgr_and_void_black() -> None:
    labels = LabelSet(("a", "b"), ((1, 2, 3), (4, 5, 6)))
    shown = colourise(np.array([[0, 1, 255]], np.uint8), labels)
    assert shown.dtype == np.uint8
    assert shown.tolist() == [[[3, 2, 1], [6, 5, 4], [0, 0, 0]]]


@pytest.mark.realdata
def test_odd_pictures_are_read_as_imread_does_or_refused_within_a_gigabyte(real_data: Path) -> None:
    told = json.loads(fresh(READ_ALL, real_data / "odd_images"))
    wrong = {name: result for name, result in told["found"].items() if result not in ("read", "refused")}
    assert wrong == {}
    assert set(told["found"].values()) == {"read", "refused"}
    assert told["peak_kib"] < 2**20
