"""A picture of frame, truth and masks side by side, a row per frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset
from fcn_edge.images import colourise

ROW_HEIGHT = 180  # pixels: four columns fit a screen
CAPTION = 22
GAP = 4

Picture = NDArray[np.uint8]  # (H, W, 3) BGR
Cells = Callable[[int], NDArray[np.uint8]]  # number of a picture to what is shown of it: a mask (H, W), or a Picture


def spread(count: int, rows: int = 6) -> list[int]:
    """The numbers of `rows` out of `count` pictures, spread evenly."""
    return [int(index) for index in np.unique(np.linspace(0, count - 1, rows).round().astype(int))]


def contact_sheet(
    dataset: Dataset, columns: Mapping[str, Cells], indices: Iterable[int], row_height: int = ROW_HEIGHT
) -> Picture:
    """A row per picture: the frame, the truth where there is one, and each column's cell. (H, W, 3) BGR."""
    shown = {"truth": dataset.mask, **columns} if dataset.has_masks else dict(columns)
    rows = ([dataset.image(index), *(cells(index) for cells in shown.values())] for index in indices)
    coloured = ([cell if cell.ndim == 3 else colourise(cell, dataset.labels) for cell in row] for row in rows)
    return sheet(["frame", *shown], coloured, row_height)


def sheet(names: Sequence[str], rows: Iterable[Sequence[Picture]], row_height: int = ROW_HEIGHT) -> Picture:
    """Rows of pictures of one size, the frame first, under the names of their columns. (H, W, 3) BGR."""
    lines = [_row(pictures, row_height) for pictures in rows]
    width = max(line.shape[1] for line in lines)
    padded = [cv2.copyMakeBorder(line, 0, GAP, 0, width - line.shape[1], cv2.BORDER_CONSTANT) for line in lines]
    return np.asarray(np.vstack([_captions(names, lines[0], width), *padded]), np.uint8)


def _row(pictures: Sequence[Picture], height: int) -> Picture:
    """The frame smoothly smaller, the others by nearest neighbour: colours of masks must not mix."""
    frame, *others = pictures
    size_hw = (height, max(1, round(frame.shape[1] * height / frame.shape[0])))
    cells = [cv2.resize(frame, size_hw[::-1], interpolation=cv2.INTER_AREA)]
    cells += [cv2.resize(picture, size_hw[::-1], interpolation=cv2.INTER_NEAREST_EXACT) for picture in others]
    gap = np.zeros((height, GAP, 3), np.uint8)
    return np.hstack([part for cell in cells for part in (cell, gap)])


def _captions(names: Sequence[str], row: Picture, width: int) -> Picture:
    strip = np.zeros((CAPTION, width, 3), np.uint8)
    for column, name in enumerate(names):
        left = column * row.shape[1] // len(names) + 6
        cv2.putText(strip, name, (left, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return strip
