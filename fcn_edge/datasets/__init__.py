"""Readers of labelled images, each for one layout on disk; `open_dataset` picks one by the KIND of `KIND:FOLDER`."""

from __future__ import annotations

from pathlib import Path

from fcn_edge.datasets.camvid import open_camvid
from fcn_edge.datasets.cityscapes import open_cityscapes
from fcn_edge.datasets.folder import open_folder
from fcn_edge.datasets.labelled import Dataset, labelled_picture
from fcn_edge.datasets.sbd import open_sbd
from fcn_edge.datasets.synthetic import open_synthetic
from fcn_edge.datasets.voc import open_voc
from fcn_edge.errors import SourceError, UsageError

__all__ = ["KINDS", "Dataset", "labelled_picture", "open_dataset", "require_masks"]

READERS = {
    "camvid": open_camvid,
    "cityscapes": open_cityscapes,
    "folder": open_folder,
    "sbd": open_sbd,
    "voc": open_voc,
}

KINDS = ", ".join([*(f"{kind}:FOLDER" for kind in READERS), "synthetic:"])  # for help texts and errors


def open_dataset(name: str, split: str) -> Dataset:
    """One split of what `name` says, one of KINDS; raises UsageError or SourceError."""
    kind, _, folder = name.partition(":")
    if kind == "synthetic":
        return open_synthetic(split)
    if kind not in READERS:
        raise UsageError(f"wanted data as one of {KINDS}, found {name!r}; put the kind before the folder")
    if not Path(folder).is_dir() or not folder:
        raise SourceError(f"wanted the folder of a {kind} dataset, found no folder {folder!r}; check the path")
    return READERS[kind](Path(folder), split)


def require_masks(dataset: Dataset, name: str) -> Dataset:
    """The dataset itself, if it can teach or score; raises SourceError when it has no masks."""
    if not dataset.has_masks:
        raise SourceError(f"wanted labelled pictures, found no masks in {name}; add them beside the pictures")
    return dataset
