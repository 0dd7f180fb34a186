"""A picture of frame, truth and masks side by side, a row per frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset
from fcn_edge.images import colourise, restore_mask

ROW_HEIGHT = 180  # pixels: four columns fit a screen
CAPTION = 22
GAP = 4

Masks = Callable[[int], NDArray[np.uint8]]  # number of a picture to its mask (H, W)


def spread(count: int, rows: int = 6) -> list[int]:
    """The numbers of `rows` out of `count` pictures, spread evenly."""
    return [int(index) for index in np.unique(np.linspace(0, count - 1, rows).round().astype(int))]


def contact_sheet(dataset: Dataset, columns: Mapping[str, Masks], indices: Sequence[int]) -> NDArray[np.uint8]:
    """A row per picture: the frame, the truth where there is one, and each column's mask. (H, W, 3) BGR."""
    shown = {"truth": dataset.mask, **columns} if dataset.has_masks else dict(columns)
    lines = [_row(dataset, index, shown) for index in indices]
    width = max(line.shape[1] for line in lines)
    padded = [cv2.copyMakeBorder(line, 0, GAP, 0, width - line.shape[1], cv2.BORDER_CONSTANT) for line in lines]
    return np.asarray(np.vstack([_captions(["frame", *shown], lines[0], width), *padded]), np.uint8)


def _row(dataset: Dataset, index: int, columns: Mapping[str, Masks]) -> NDArray[np.uint8]:
    image = dataset.image(index)
    size_hw = (ROW_HEIGHT, max(1, round(image.shape[1] * ROW_HEIGHT / image.shape[0])))
    frame = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA)
    gap = np.zeros((ROW_HEIGHT, GAP, 3), np.uint8)
    masks = [restore_mask(masks(index), size_hw) for masks in columns.values()]
    cells = [frame, *(colourise(mask, dataset.labels) for mask in masks)]
    return np.hstack([part for cell in cells for part in (cell, gap)])


def _captions(names: list[str], row: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    strip = np.zeros((CAPTION, width, 3), np.uint8)
    for column, name in enumerate(names):
        left = column * row.shape[1] // len(names) + 6
        cv2.putText(strip, name, (left, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return strip
