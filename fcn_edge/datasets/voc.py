"""PASCAL VOC 2012 as its tar unpacks: VOCdevkit/VOC2012/{JPEGImages,SegmentationClass,ImageSets/Segmentation/*.txt}.

Source: Everingham, Eslami, Van Gool, Williams, Winn, Zisserman, "The PASCAL Visual Object Classes challenge: a
retrospective", IJCV 2015. Every list in ImageSets/Segmentation is a split: `train` (1464 pictures), `val` (1449),
`trainval` (2913), and any other that is put there.

With SBD's benchmark_RELEASE beside VOCdevkit (or in it) there are four more. More than a third of VOC's val is in SBD's
train, so scores on all of it are not those of unseen pictures. Where both label a picture, VOC's label counts.

    sbd         SBD's train, 8498 pictures with SBD's labels: what the FCN paper trains on
    train+sbd   that and VOC's train, 8829 pictures
    segvalid    VOC's val without what is in SBD's train, 904 pictures: score the two above on these
    trainaug    VOC's train and all of SBD without what is in VOC's val, 10582 pictures; score it on val (DeepLab's way)

The paper's own figures are on the list `seg11valid`, 736 pictures: VOC *2011*'s val without what is in SBD's train. It
does not follow from VOC 2012, whose val is longer, hence the other name of `segvalid`. Put the published list
(github.com/shelhamer/fcn.berkeleyvision.org, data/pascal/seg11valid.txt) into ImageSets/Segmentation to score on it.

The numbers of pictures are those of the published data: 8498 and seg11valid from data/pascal/README.md there, 8829 and
904 from pytorch-semseg's pascal_voc_loader, 10582 from DeepLab (Chen et al., TPAMI 2018).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.labelled import LabelledFiles
from fcn_edge.datasets.listed import Pairs, list_of, listed_pairs, read_list
from fcn_edge.datasets.sbd import SBD, read_sbd_mask, sbd_pairs
from fcn_edge.datasets.voc_labels import VOC_21, VOC_VOID_RGB
from fcn_edge.errors import SourceError
from fcn_edge.images import read_ids_or_colours

PLACES = (Path("."), Path("VOC2012"), Path("VOCdevkit/VOC2012"))
LISTS = Path("ImageSets/Segmentation")
PAPERS_LIST, PAPERS_REPOSITORY = "seg11valid", "github.com/shelhamer/fcn.berkeleyvision.org"


def open_voc(folder: Path, split: str) -> LabelledFiles:
    """One split, FOLDER being `VOC2012`, `VOCdevkit` or what holds it; raises SourceError naming what is missing."""
    root = voc_root(folder)
    pairs = WITH_SBD[split](root) if split in WITH_SBD else voc_pairs(root, split)
    if not pairs:
        raise SourceError(f"wanted pictures for {split} of {root}, found none left beside SBD's; check SBD's lists")
    image_paths, mask_paths = zip(*pairs.values(), strict=True)
    return LabelledFiles(VOC_21, image_paths, mask_paths, void_rgb=VOC_VOID_RGB, read=read_voc_mask)


def voc_root(folder: Path) -> Path:
    for place in PLACES:
        if (folder / place / LISTS).is_dir():
            return folder / place
    raise SourceError(
        f"wanted VOCdevkit/VOC2012/{LISTS} in {folder}, found none; name the folder where VOC's trainval tar was "
        "unpacked"
    )


def voc_pairs(root: Path, split: str) -> Pairs:
    if split == PAPERS_LIST and not (root / LISTS / f"{PAPERS_LIST}.txt").is_file():
        raise SourceError(
            f"wanted the list {root / LISTS / PAPERS_LIST}.txt, found none; copy data/pascal/{PAPERS_LIST}.txt of "
            f"{PAPERS_REPOSITORY} there, or choose segvalid, which needs SBD's lists alone"
        )
    path = list_of(split, root / LISTS, tuple(WITH_SBD))
    return listed_pairs(path, root / "JPEGImages", root / "SegmentationClass", ".png")


def read_voc_mask(path: Path) -> NDArray[np.uint8]:
    """A mask of VOC's or, for SBD labels the same pictures, of SBD's."""
    return read_sbd_mask(path) if path.suffix == ".mat" else read_ids_or_colours(path)


def _sbd_beside(root: Path) -> Path:
    """SBD's folder beside VOCdevkit or in it; beside VOC2012, where that lies alone."""
    parents = Path(os.path.abspath(root)).parents[:2]
    for parent in parents:
        if (parent / SBD).is_dir():
            return parent / SBD
    raise SourceError(
        f"wanted SBD's {SBD} beside VOC, found none in {' or '.join(map(str, parents))}; unpack or link it there"
    )


def _sbd(root: Path) -> Pairs:
    return sbd_pairs(_sbd_beside(root), "train")


def _train_and_sbd(root: Path) -> Pairs:
    return _sorted({**_sbd(root), **voc_pairs(root, "train")})


def _segvalid(root: Path) -> Pairs:
    return _without(voc_pairs(root, "val"), _list(_sbd_beside(root), "train"))


def _trainaug(root: Path) -> Pairs:
    sbd = _sbd_beside(root)
    both = {**sbd_pairs(sbd, "train"), **sbd_pairs(sbd, "val"), **voc_pairs(root, "train")}
    return _sorted(_without(both, _list(root / LISTS, "val")))


def _list(folder: Path, split: str) -> tuple[str, ...]:
    return read_list(list_of(split, folder))


def _without(pairs: Pairs, names: tuple[str, ...]) -> Pairs:
    unwanted = set(names)
    return {name: pair for name, pair in pairs.items() if name not in unwanted}


def _sorted(pairs: Pairs) -> Pairs:
    return dict(sorted(pairs.items()))


WITH_SBD: dict[str, Callable[[Path], Pairs]] = {
    "sbd": _sbd,
    "train+sbd": _train_and_sbd,
    "segvalid": _segvalid,
    "trainaug": _trainaug,
}
