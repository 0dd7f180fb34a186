"""Anyone's pictures: images/SPLIT/x.jpg, masks/SPLIT/x.png and labels.json in one folder."""

from __future__ import annotations

from pathlib import Path

from fcn_edge.datasets.labelled import LabelledFiles, matched_masks, pictures_of
from fcn_edge.labels import read_classes


def open_folder(root: Path, split: str) -> LabelledFiles:
    """One split; without a folder masks/SPLIT it is unlabelled. Raises SourceError naming what is missing."""
    classes = read_classes(root / "labels.json")
    image_folder, mask_folder = root / "images" / split, root / "masks" / split
    image_paths = pictures_of(split, image_folder)
    mask_paths = matched_masks(image_paths, mask_folder) if mask_folder.is_dir() else ()
    return LabelledFiles(classes.labels, image_paths, mask_paths, classes.ignore_index, classes.void_rgb)
