"""Published datasets in small: every folder, file name and file format as their archives unpack, a few pixels each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.sparse import csc_matrix

from tests.ground.test_palette_png import png_file

SIZE_HW = (6, 8)
VOID = 255

# The colours of VOC's classes 0..20 as its site shows them, and of its boundary, typed and not computed.
VOC_COLOURS = (
    *((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128)),
    *((128, 128, 128), (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0), (64, 0, 128), (192, 0, 128)),
    *((64, 128, 128), (192, 128, 128), (0, 64, 0), (128, 64, 0), (0, 192, 0), (128, 192, 0), (0, 64, 128)),
)
VOC_BOUNDARY = (224, 224, 192)


def voc_palette() -> NDArray[np.uint8]:
    palette = np.zeros((256, 3), np.uint8)
    palette[:21], palette[VOID] = VOC_COLOURS, VOC_BOUNDARY
    return palette


def voc_mask(label: int) -> NDArray[np.uint8]:
    """An object of this class on background, with VOC's line of 255 around it."""
    mask = np.zeros(SIZE_HW, np.uint8)
    mask[1:5, 2:7] = VOID
    mask[2:4, 3:6] = label
    return mask


def sbd_mask(label: int) -> NDArray[np.uint8]:
    """The same in SBD, which knows no void."""
    mask = voc_mask(label)
    mask[mask == VOID] = 0
    return mask


def write_voc(parent: Path, lists: dict[str, Sequence[str]]) -> Path:
    """VOCdevkit/VOC2012 below `parent`; each listed picture has the class of its number, modulo 21."""
    root = parent / "VOCdevkit" / "VOC2012"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation", "ImageSets/Main", "Annotations"):
        (root / folder).mkdir(parents=True)
    for split, names in lists.items():
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            write_picture(root / "JPEGImages" / f"{name}.jpg")
            png = png_file(voc_mask(label_of(name)), colours=voc_palette())
            (root / "SegmentationClass" / f"{name}.png").write_bytes(png)
    return root


def write_sbd(parent: Path, lists: dict[str, Sequence[str]]) -> Path:
    """benchmark_RELEASE/dataset below `parent`."""
    root = parent / "benchmark_RELEASE" / "dataset"
    for folder in ("img", "cls", "inst"):
        (root / folder).mkdir(parents=True)
    for split, names in lists.items():
        (root / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))
        for name in names:
            write_picture(root / "img" / f"{name}.jpg")
            write_mat(root / "cls" / f"{name}.mat", "GTcls", sbd_mask(label_of(name)))
            write_mat(root / "inst" / f"{name}.mat", "GTinst", sbd_mask(1))
    return root


def write_mat(path: Path, variable: str, segmentation: Any, field: str = "Segmentation") -> None:
    """SBD's form: a struct whose first field is a cell of 20 sparse boundaries."""
    cell = np.empty((20, 1), object)
    for row in cell:
        row[0] = csc_matrix(np.eye(*SIZE_HW))
    content = {"Boundaries": cell, field: segmentation, "CategoriesPresent": np.array([[1]], np.uint8)}
    savemat(path, {variable: content}, do_compression=True)


def write_cityscapes(root: Path, cities: dict[str, Sequence[str]]) -> Path:
    """leftImg8bit/ and gtFine/ below `root`, two frames of each city; gtFine of test has void ids alone."""
    for split, names in cities.items():
        for city in names:
            for folder in ("leftImg8bit", "gtFine"):
                (root / folder / split / city).mkdir(parents=True)
            for frame in range(2):
                stem = f"{city}_000000_{frame:06d}"
                write_picture(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png")
                write_ground_truth(root / "gtFine" / split / city / f"{stem}_gtFine", split)
    return root


def write_ground_truth(stem: Path, split: str) -> None:
    """labelIds, instanceIds, color and polygons, as in gtFine_trainvaltest.zip."""
    ids = np.arange(48, dtype=np.uint8).reshape(SIZE_HW) % (4 if split == "test" else 34)
    assert cv2.imwrite(f"{stem}_labelIds.png", ids)
    assert cv2.imwrite(f"{stem}_instanceIds.png", ids.astype(np.uint16) * 1000)
    assert cv2.imwrite(f"{stem}_color.png", np.zeros((*SIZE_HW, 4), np.uint8))
    Path(f"{stem}_polygons.json").write_text("{}")


def write_picture(path: Path) -> None:
    assert cv2.imwrite(str(path), np.full((*SIZE_HW, 3), 90, np.uint8))


def label_of(name: str) -> int:
    return int(name[-2:]) % 21
