"""SBD, Berkeley's further labels for VOC's pictures: benchmark_RELEASE/dataset/{img,cls,train.txt,val.txt}.

Source: Hariharan, Arbelaez, Bourdev, Maji, Malik, "Semantic contours from inverse detectors", ICCV 2011. The labels of
a picture are `GTcls.Segmentation` of cls/NAME.mat, VOC's class ids without any void. The lists as published: `train`
has 8498 pictures, `val` 2857; a third that its site offers, `train_noval` (5623, none of them in VOC 2012's val), is a
split as soon as train_noval.txt lies beside them. Its train overlaps with VOC's val: see voc.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.labelled import LabelledFiles
from fcn_edge.datasets.listed import Pairs, list_of, listed_pairs
from fcn_edge.datasets.voc_labels import VOC_21
from fcn_edge.errors import SourceError
from fcn_edge.images import read_bytes
from fcn_edge.mat_file import numbers_in_struct

SBD = Path("benchmark_RELEASE/dataset")
PLACES = (Path("."), Path("dataset"), SBD)


def open_sbd(folder: Path, split: str) -> LabelledFiles:
    """One of SBD's lists, FOLDER being `dataset`, `benchmark_RELEASE` or what holds it; raises SourceError."""
    pairs = sbd_pairs(sbd_root(folder), split)
    image_paths, mask_paths = zip(*pairs.values(), strict=True)
    return LabelledFiles(VOC_21, image_paths, mask_paths, read=read_sbd_mask)


def sbd_root(folder: Path) -> Path:
    for place in PLACES:
        if (folder / place / "cls").is_dir():
            return folder / place
    raise SourceError(
        f"wanted {SBD}/cls in {folder}, found none; name the folder where SBD's benchmark.tgz was unpacked"
    )


def sbd_pairs(root: Path, split: str) -> Pairs:
    return listed_pairs(list_of(split, root), root / "img", root / "cls", ".mat")


def read_sbd_mask(path: Path) -> NDArray[np.uint8]:
    """(H, W) uint8 class ids; raises SourceError."""
    try:
        stored = numbers_in_struct(read_bytes(path), "GTcls", "Segmentation")
    except ValueError as error:
        raise SourceError(
            f"{path}: wanted GTcls.Segmentation in a .mat file, found {error}; unpack SBD's cls/ anew"
        ) from None
    mask = stored.astype(np.uint8)
    if mask.ndim != 2 or (mask != stored).any():
        found = f"{stored.ndim} dimensions" if mask.ndim != 2 else f"numbers from {stored.min()} to {stored.max()}"
        raise SourceError(f"{path}: wanted one class id a pixel in GTcls.Segmentation, found {found}; mend the file")
    return mask
