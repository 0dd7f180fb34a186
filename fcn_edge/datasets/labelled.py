"""What a dataset is to every stage: numbered pictures with masks and one label set.

Readers of each layout stand beside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets.colours import ids_from_colours, require_own_colours
from fcn_edge.errors import SourceError
from fcn_edge.images import list_images, read_bytes, read_ids_or_colours, read_image
from fcn_edge.labels import BLACK, RGB, VOID, LabelSet
from fcn_edge.palette_png import palette_rgb

HEAD = 4096  # bytes of a PNG: its palette stands within them

# Gives the (H, W) numbers in a mask file, or its (H, W, 3) BGR colours; a plain function, for other processes call it.
MaskReader = Callable[[Path], NDArray[np.uint8]]


class Dataset(Protocol):
    """Numbered pictures, and masks where there are any."""

    @property
    def labels(self) -> LabelSet: ...

    @property
    def has_masks(self) -> bool: ...

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """What a report or an error calls picture `index`."""

    def image(self, index: int) -> NDArray[np.uint8]:
        """(H, W, 3) BGR uint8; raises SourceError if it cannot be read."""

    def mask(self, index: int) -> NDArray[np.uint8]:
        """(H, W) uint8 class ids, VOID (255) where unlabelled, of the picture's own size; raises SourceError."""

    def digest(self) -> str:
        """sha256 that changes when a picture or a mask does."""


@dataclass(frozen=True)
class LabelledFiles:
    """A dataset of picture files and mask files, whatever the layout they were found in."""

    labels: LabelSet
    image_paths: tuple[Path, ...]
    mask_paths: tuple[Path, ...]  # one per picture, or empty for pictures without labels
    ignore_index: int = VOID  # the number that the mask files use for void
    void_rgb: RGB = BLACK  # and the colour, in files that were saved in colours
    read: MaskReader = read_ids_or_colours

    @property
    def has_masks(self) -> bool:
        return bool(self.mask_paths)

    def __len__(self) -> int:
        return len(self.image_paths)

    def name(self, index: int) -> str:
        return self.image_paths[index].name

    def image(self, index: int) -> NDArray[np.uint8]:
        return read_image(self.image_paths[index])

    def mask(self, index: int) -> NDArray[np.uint8]:
        if not self.mask_paths:
            raise SourceError(f"wanted the mask of {self.image_paths[index]}, found none; this dataset has no labels")
        path = self.mask_paths[index]
        mask = self.read(path)
        if mask.ndim == 3:
            mask = ids_from_colours(path, mask, self.labels, self.void_rgb)
        ids = with_void(path, mask, self.labels, self.ignore_index)
        if (palette := palette_rgb(read_bytes(path, HEAD))) is not None:
            require_own_colours(path, ids, palette, self.labels)
        return ids

    def digest(self) -> str:
        digest = hashlib.sha256()
        for path in (*self.image_paths, *self.mask_paths):
            digest.update(path.name.encode() + b"\0")
            digest.update(read_bytes(path))
        return digest.hexdigest()


def labelled_picture(dataset: Dataset, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One picture with its mask; raises SourceError where their sizes differ."""
    image, mask = dataset.image(index), dataset.mask(index)
    if image.shape[:2] != mask.shape:
        raise SourceError(
            f"wanted picture and mask of one size, found {image.shape[:2]} and {mask.shape} for {dataset.name(index)}; "
            "export the mask again at the picture's size"
        )
    return image, mask


def with_void(path: Path, mask: NDArray[np.uint8], labels: LabelSet, ignore_index: int) -> NDArray[np.uint8]:
    """A mask, changed in place: its void numbers (`ignore_index` and 255) are VOID; any other stray id is refused."""
    mask[mask == ignore_index] = VOID
    stray = mask[(mask >= len(labels)) & (mask != VOID)]
    if stray.size:
        raise SourceError(
            f"{path}: wanted class ids 0..{len(labels) - 1} or void ({ignore_index}), found {int(stray.min())} "
            f"in {stray.size} pixels; mend the mask, or name the class in the dataset's class list"
        )
    return mask


def pictures_of(split: str, folder: Path) -> tuple[Path, ...]:
    """The picture files of a split's own folder; raises SourceError where there is none."""
    image_paths = tuple(list_images(folder))
    if not image_paths:
        raise SourceError(f"wanted the pictures of {split}, found none in {folder}; check the folder and the split")
    return image_paths


def matched_masks(image_paths: tuple[Path, ...], mask_folder: Path) -> tuple[Path, ...]:
    """The mask of each picture: its name ending in .png, in another folder; raises SourceError if one is missing."""
    mask_paths = tuple(mask_folder / f"{path.stem}.png" for path in image_paths)
    missing = [path for path in mask_paths if not path.is_file()]
    if missing:
        beside = next(mask_folder.glob(f"{missing[0].stem}.*"), None)
        found = f"{beside.name} there" if beside else "none"
        raise SourceError(
            f"wanted the mask {missing[0]}, found {found} ({len(missing)} of {len(mask_paths)} masks are missing); "
            f"{'save them as .png' if beside else 'add them or take their pictures out'}"
        )
    return mask_paths
