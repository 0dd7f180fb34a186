"""Cityscapes as its zips unpack: leftImg8bit/SPLIT/CITY/x_leftImg8bit.png, gtFine/SPLIT/CITY/x_gtFine_labelIds.png.

Source: Cordts et al., "The Cityscapes dataset for semantic urban scene understanding", CVPR 2016; names, ids and
colours from helpers/labels.py of cityscapesScripts. Masks hold the 34 ids, of which 19 classes are learnt and scored
(their "trainIds"); the others are void. Where only x_gtFine_labelTrainIds.png lies, made by those scripts, it is read
as it is. The labels of `test` are not public: its files hold nothing but void, and so its pictures are unlabelled.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.labelled import LabelledFiles
from fcn_edge.errors import SourceError
from fcn_edge.images import read_mask
from fcn_edge.labels import RGB, VOID, LabelSet

# The id in the mask files, and what it is; a class's own id is its place here.
CLASSES: tuple[tuple[int, str, RGB], ...] = (
    (7, "road", (128, 64, 128)), (8, "sidewalk", (244, 35, 232)), (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)), (13, "fence", (190, 153, 153)), (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)), (20, "traffic sign", (220, 220, 0)), (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)), (23, "sky", (70, 130, 180)), (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)), (26, "car", (0, 0, 142)), (27, "truck", (0, 0, 70)), (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)), (32, "motorcycle", (0, 0, 230)), (33, "bicycle", (119, 11, 32)),
)  # fmt: skip
CITYSCAPES_19 = LabelSet(tuple(name for _, name, _ in CLASSES), tuple(rgb for _, _, rgb in CLASSES))
LAST_ID = 33

IMAGE, IDS, TRAIN_IDS = "_leftImg8bit.png", "_gtFine_labelIds.png", "_gtFine_labelTrainIds.png"
UNLABELLED = "test"


def open_cityscapes(root: Path, split: str) -> LabelledFiles:
    """One split (train, val, test), unlabelled if it is test or has no folder in gtFine; raises SourceError."""
    images, masks = root / "leftImg8bit" / split, root / "gtFine" / split
    image_paths = tuple(sorted(images.glob(f"*/*{IMAGE}")))
    if not image_paths:
        raise SourceError(
            f"wanted pictures like {images}/CITY/x{IMAGE}, found none; check --split, and that leftImg8bit and gtFine "
            "lie in this folder"
        )
    labelled = split != UNLABELLED and masks.is_dir()
    mask_paths = tuple(_mask_of(path, masks) for path in image_paths) if labelled else ()
    return LabelledFiles(CITYSCAPES_19, image_paths, mask_paths, read=read_cityscapes_mask)


def _mask_of(image: Path, masks: Path) -> Path:
    name = image.name.removesuffix(IMAGE)
    wanted = masks / image.parent.name / f"{name}{IDS}"
    for path in (wanted, wanted.with_name(f"{name}{TRAIN_IDS}")):
        if path.is_file():
            return path
    raise SourceError(f"wanted the mask {wanted} (or {name}{TRAIN_IDS}), found none; unpack gtFine anew")


def read_cityscapes_mask(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 trainIds, VOID for what is not scored; raises SourceError."""
    mask = read_mask(path)
    if path.name.endswith(TRAIN_IDS):
        return mask
    stray = mask[(mask > LAST_ID) & (mask != VOID)]
    if stray.size:
        raise SourceError(
            f"{path}: wanted Cityscapes' ids 0..{LAST_ID}, found {int(stray.min())} in {stray.size} pixels; "
            "unpack gtFine anew"
        )
    return _train_ids()[mask]


def _train_ids() -> NDArray[np.uint8]:
    """(256,) the class of every id."""
    table = np.full(256, VOID, np.uint8)
    table[[number for number, _, _ in CLASSES]] = range(len(CLASSES))
    return table
