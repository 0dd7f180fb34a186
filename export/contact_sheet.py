"""A picture of frame, truth and masks side by side, a row per frame."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset
from fcn_edge.images import colourise, restore_mask
from fcn_edge.scoring import Segment

ROW_HEIGHT = 180  # pixels: four columns fit a screen
CAPTION = 22
GAP = 4


def contact_sheet(dataset: Dataset, segments: Mapping[str, Segment], rows: int = 6) -> NDArray[np.uint8]:
    """`rows` frames spread evenly over the dataset; a column for the frame, the truth and each artifact's mask. BGR."""
    indices = np.unique(np.linspace(0, len(dataset) - 1, rows).round().astype(int))
    lines = [_row(dataset, int(index), segments) for index in indices]
    width = max(line.shape[1] for line in lines)
    padded = [cv2.copyMakeBorder(line, 0, GAP, 0, width - line.shape[1], cv2.BORDER_CONSTANT) for line in lines]
    return np.asarray(np.vstack([_captions(["frame", "truth", *segments], lines[0], width), *padded]), np.uint8)


def _row(dataset: Dataset, index: int, segments: Mapping[str, Segment]) -> NDArray[np.uint8]:
    image = dataset.image(index)
    masks = [dataset.mask(index), *(segment(image) for segment in segments.values())]
    size_hw = (ROW_HEIGHT, max(1, round(image.shape[1] * ROW_HEIGHT / image.shape[0])))
    frame = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_AREA)
    gap = np.zeros((ROW_HEIGHT, GAP, 3), np.uint8)
    cells = [frame, *(colourise(restore_mask(mask, size_hw), dataset.labels) for mask in masks)]
    return np.hstack([part for cell in cells for part in (cell, gap)])


def _captions(names: list[str], row: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    strip = np.zeros((CAPTION, width, 3), np.uint8)
    for column, name in enumerate(names):
        left = column * row.shape[1] // len(names) + 6
        cv2.putText(strip, name, (left, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return strip
