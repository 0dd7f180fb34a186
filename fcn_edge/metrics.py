"""The four scores of semantic segmentation, all from one confusion matrix.

Source: Long, Shelhamer, Darrell, TPAMI 2017, section 5 ("Metrics"): with n_ij the pixels of class i predicted as
class j, t_i = sum_j n_ij, and n_cl the classes: pixel accuracy, mean accuracy, mean IU and frequency-weighted IU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Fractions 0..1. A class that is in neither truth nor prediction has no IoU (None) and leaves the means.

    Means of nothing are nan: no labelled pixel was seen.
    """

    pixel_accuracy: float
    mean_accuracy: float
    mean_iou: float
    frequency_weighted_iou: float
    per_class_iou: dict[str, float | None]

    def to_json(self) -> dict[str, Any]:
        return dict(self.__dict__)


class ConfusionMatrix:
    """Counts of (true class, predicted class) over labelled pixels; void pixels leave no trace."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.counts = np.zeros((len(names), len(names)), np.int64)  # [true, predicted]

    def update(self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Add one (H, W) pair of uint8 masks; truth pixels that are no class id (void) are left out."""
        self.counts += confusion(truth, prediction, len(self.names))

    def scores(self) -> Scores:
        return scores_of(self.counts, self.names)


def confusion(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """(classes, classes) counts of one pair of (H, W) masks, true class first; void pixels are left out."""
    if truth.shape != prediction.shape:
        raise ValueError(f"truth {truth.shape} and prediction {prediction.shape} must have one shape")
    labelled = truth < classes
    pairs = truth[labelled].astype(np.int64) * classes + prediction[labelled]
    if pairs.size and int(prediction[labelled].max()) >= classes:
        raise ValueError(f"prediction holds class {int(prediction[labelled].max())}, there are {classes}")
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def scores_of(counts: NDArray[np.int64], names: tuple[str, ...]) -> Scores:
    """The scores of one (n, n) matrix of counts, true class first."""
    correct = np.diag(counts).astype(np.float64)
    true = counts.sum(axis=1)
    iou = class_iou(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        accuracy = correct / true  # nan where a class never occurs
    total = float(true.sum())
    return Scores(
        pixel_accuracy=float(correct.sum()) / total if total else float("nan"),
        mean_accuracy=_mean_of_present(accuracy),
        mean_iou=_mean_of_present(iou),
        frequency_weighted_iou=float((true * np.nan_to_num(iou)).sum()) / total if total else float("nan"),
        per_class_iou={n: None if np.isnan(v) else float(v) for n, v in zip(names, iou, strict=True)},
    )


def class_iou(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """(..., n, n) counts to the (..., n) IoU of each class; nan where a class never occurs."""
    correct = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    union = counts.sum(axis=-1) + counts.sum(axis=-2) - correct
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(correct / union)


def _mean_of_present(values: NDArray[np.float64]) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")
