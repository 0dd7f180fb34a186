"""CamVid as the SegNet tutorial lays it out: SPLIT/x.jpg or .png, SPLITannot/x.png and classes.json in one folder.

Source: Brostow, Fauqueur, Cipolla, "Semantic object classes in video", Pattern Recognition Letters 2009; the 11-class
version of Badrinarayanan, Kendall, Cipolla (SegNet, TPAMI 2017). Without classes.json, that version's classes hold.
"""

from __future__ import annotations

from pathlib import Path

from fcn_edge.datasets.labelled import LabelledFiles, matched_masks, pictures_of
from fcn_edge.errors import SourceError
from fcn_edge.labels import ClassList, LabelSet, read_classes

CAMVID_11 = LabelSet(
    names=(
        *("sky", "building", "pole", "road", "pavement", "tree"),
        *("sign_symbol", "fence", "car", "pedestrian", "bicyclist"),
    ),
    palette=(
        *((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0)),
        *((192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)),
    ),
)
CAMVID_11_VOID = 11


def open_camvid(root: Path, split: str) -> LabelledFiles:
    """One split (train, val, test); raises SourceError naming what is missing."""
    listed = root / "classes.json"
    classes = read_classes(listed) if listed.exists() else ClassList(CAMVID_11, CAMVID_11_VOID)
    _require_layout(root, split)
    image_paths = pictures_of(split, root / split)
    mask_paths = matched_masks(image_paths, root / f"{split}annot")
    return LabelledFiles(classes.labels, image_paths, mask_paths, classes.ignore_index, classes.void_rgb)


def _require_layout(root: Path, split: str) -> None:
    """The original files have other folders and 32 classes, and no splits."""
    if (root / split).is_dir() or not root.is_dir():
        return
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    raise SourceError(
        f"wanted CamVid as the SegNet tutorial lays it out ({split}/ beside {split}annot/), found in {root} "
        f"{', '.join(folders[:4]) or 'no folders'}; check the split, or get the tutorial's files of 11 classes"
    )
