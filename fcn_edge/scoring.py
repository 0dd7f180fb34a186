"""Anything that turns a frame into a mask, put through a dataset: its answers, beside a reference's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset, labelled_picture
from fcn_edge.errors import UsageError
from fcn_edge.labels import LabelSet
from fcn_edge.metrics import Scores, class_iou, confusion, scores_of
from fcn_edge.progress import tracked

Segment = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]  # frame (H, W, 3) BGR to mask (H, W) of the frame's size

BAND = 3  # pixels on either side of a border between classes: where thin things live or die
RESAMPLED = 1000  # bootstrap samples
CONFIDENCE = (2.5, 97.5)  # percentiles: a 95 % interval


def require_same_classes(labels: LabelSet, dataset: Dataset, model: Path | str) -> None:
    """Raises UsageError unless the model's classes are the dataset's."""
    if labels.names != dataset.labels.names:
        raise UsageError(
            f"{model}: wanted a model of the {len(dataset.labels)} classes {', '.join(dataset.labels.names)}, "
            f"found {len(labels)} ({', '.join(labels.names)}); use the data it was trained for"
        )


@dataclass(frozen=True)
class Answers:
    """What one artifact said to some pictures of a dataset: a mask each, and how it compares with the truth."""

    names: tuple[str, ...]  # of the classes
    indices: tuple[int, ...]  # the pictures' numbers in the dataset
    packed: tuple[NDArray[np.uint8], ...]  # the masks as PNG, for a thousand of them fit into memory so
    confusions: NDArray[np.int64] | None  # (pictures, n, n), or None without labels

    def mask(self, position: int) -> NDArray[np.uint8]:
        return np.asarray(cv2.imdecode(self.packed[position], cv2.IMREAD_UNCHANGED), np.uint8)

    def scores(self) -> Scores | None:
        """None without labels."""
        return None if self.confusions is None else scores_of(self.confusions.sum(0), self.names)

    def part(self, indices: Sequence[int]) -> Answers:
        """The answers to some of the pictures, by their numbers in the dataset."""
        positions = [self.indices.index(index) for index in indices]
        confusions = None if self.confusions is None else self.confusions[positions]
        return Answers(self.names, tuple(indices), tuple(self.packed[position] for position in positions), confusions)


def answer(segment: Segment, dataset: Dataset, title: str, indices: Sequence[int] | None = None) -> Answers:
    """Put the pictures (default: all) through an artifact; raises SourceError."""
    chosen = tuple(range(len(dataset)) if indices is None else indices)
    packed, confusions = [], []
    for index in tracked(chosen, title, len(chosen)):
        if dataset.has_masks:
            image, truth = labelled_picture(dataset, index)
            mask = segment(image)
            confusions.append(confusion(truth, mask, len(dataset.labels)))
        else:
            mask = segment(dataset.image(index))
        packed.append(cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])
    return Answers(dataset.labels.names, chosen, tuple(packed), np.stack(confusions) if confusions else None)


@dataclass(frozen=True)
class Comparison:
    """How one artifact did, alone and against the reference it was made from. Fractions 0..1."""

    scores: Scores | None  # None without labels, and so are the drops
    agreement: float  # of all pixels, where its mask is the reference's
    boundary_agreement: float  # the same, within BAND pixels of a border in the reference's masks
    drop: float | None  # of mean IoU against the reference; negative is a gain
    drop_interval: tuple[float, float] | None  # 95 % bootstrap over pictures, paired
    per_class_drop: dict[str, float | None]
    per_picture: tuple[float, ...]  # agreement of each picture

    def to_json(self) -> dict[str, Any]:
        return {
            **(self.scores.to_json() if self.scores else {}),
            "agreement": self.agreement,
            "boundary_agreement": self.boundary_agreement,
            "mean_iou_drop": self.drop,
            "mean_iou_drop_interval": self.drop_interval and list(self.drop_interval),
            "per_class_drop": self.per_class_drop,
        }


def compare(answers: Answers, reference: Answers) -> Comparison:
    """Two artifacts' answers to the same pictures, side by side."""
    agreeing, inside = _agreement(answers, reference)
    return Comparison(
        answers.scores(),
        _share(*agreeing.sum(0)),
        _share(*inside.sum(0)),
        *_drops(answers, reference),
        tuple(_share(*row) for row in agreeing),
    )


def _agreement(answers: Answers, reference: Answers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per picture (agreeing pixels, pixels): of the whole, and of the band."""
    whole, inside = [], []
    for position in range(len(reference.packed)):
        wanted = reference.mask(position)
        same = answers.mask(position) == wanted
        band = boundary_band(wanted)
        whole.append((np.count_nonzero(same), same.size))
        inside.append((np.count_nonzero(same & band), np.count_nonzero(band)))
    return np.array(whole), np.array(inside)


def boundary_band(mask: NDArray[np.uint8], pixels: int = BAND) -> NDArray[np.bool_]:
    """(H, W): the pixels at most so many away (in either direction) from another class."""
    kernel = np.ones((2 * pixels + 1, 2 * pixels + 1), np.uint8)
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, kernel) > 0)


def _share(part: int, whole: int) -> float:
    return float(part / whole) if whole else 1.0


def _drops(
    answers: Answers, reference: Answers
) -> tuple[float | None, tuple[float, float] | None, dict[str, float | None]]:
    """The drop of mean IoU, its interval, and the drop of each class."""
    if answers.confusions is None or reference.confusions is None or not reference.confusions.any():
        return None, None, {}
    pair = np.stack([reference.confusions, answers.confusions])  # (2, pictures, n, n)
    iou = class_iou(pair.sum(1))
    per_class = {
        name: None if np.isnan(drop) else float(drop) for name, drop in zip(answers.names, iou[0] - iou[1], strict=True)
    }
    lower, upper = np.nanpercentile(_resampled_drops(pair), CONFIDENCE)
    means = _means(iou)
    return float(means[0] - means[1]), (float(lower), float(upper)), per_class


def _resampled_drops(pair: NDArray[np.int64]) -> NDArray[np.float64]:
    """Drops of mean IoU on sets of pictures drawn with replacement, the same for both (paired bootstrap)."""
    pictures, classes = pair.shape[1], pair.shape[2]
    weights = np.random.default_rng(0).multinomial(pictures, [1 / pictures] * pictures, RESAMPLED)
    sums = np.einsum("rp,apc->arc", weights, pair.reshape(2, pictures, -1)).reshape(2, RESAMPLED, classes, classes)
    means = _means(class_iou(sums))
    return np.asarray(means[0] - means[1])


def _means(iou: NDArray[np.float64]) -> NDArray[np.float64]:
    """Over the classes that occur; nan where none does."""
    present = ~np.isnan(iou)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(present, iou, 0).sum(-1) / present.sum(-1))
