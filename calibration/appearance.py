"""What pictures show, in numbers: how much of each class, how bright. For choosing a set and for judging one."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset
from fcn_edge.labels import VOID
from fcn_edge.progress import tracked
from fcn_edge.report import percent

LUMA_BGR = (0.114, 0.587, 0.299)  # ITU-R BT.601


def class_shares(dataset: Dataset, indices: Sequence[int]) -> NDArray[np.float64]:
    """(pictures, classes): the share of each picture's pixels that shows each class; void is no class.

    Shares and not pixels, so that pictures of different sizes count alike. Raises SourceError.
    """
    shares = np.zeros((len(indices), len(dataset.labels)))
    for row, index in enumerate(tracked(indices, "reading masks", len(indices))):
        mask = dataset.mask(index)
        shares[row] = np.bincount(mask.ravel(), minlength=VOID + 1)[: len(dataset.labels)] / mask.size
    return shares


def brightness(dataset: Dataset, indices: Sequence[int]) -> NDArray[np.float64]:
    """(pictures,): the mean luma of each, 0 to 255; raises SourceError."""
    means = [cv2.mean(dataset.image(index))[:3] for index in tracked(indices, "reading pictures", len(indices))]
    return np.asarray(np.array(means).reshape(-1, 3) @ np.array(LUMA_BGR))


def mean_shares(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(classes,): of all that is labelled, the share of each class; zeros where nothing is."""
    total = shares.sum(0)
    return np.asarray(total / (total.sum() or 1))


def class_rows(
    names: Sequence[str], chosen: NDArray[np.float64], pool: NDArray[np.float64], pictures: int
) -> list[list[str]]:
    """A table, header first: each class in the set and in the pool, which was read of `pictures` in the split."""
    read = "the split %" if len(pool) == pictures else f"{len(pool)} read of {pictures} %"
    rows = [["class", "of the set %", f"of {read}", "pictures that show it"]]
    shown = np.count_nonzero(chosen, axis=0)
    for name, ours, all_, count in zip(names, mean_shares(chosen), mean_shares(pool), shown, strict=True):
        rows.append([name, percent(float(ours)), percent(float(all_)), f"{count} of {len(chosen)}"])
    return rows
