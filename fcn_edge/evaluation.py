"""One pass of a segmenter over labelled pictures, and all that a report shows of it. Not the comparison of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset, labelled_picture
from fcn_edge.labels import VOID
from fcn_edge.metrics import Scores, confusion, scores_of
from fcn_edge.progress import tracked
from fcn_edge.scoring import BAND, Segment, boundary_band

KEPT = 4  # masks of the best pictures, and as many of the worst


@dataclass(frozen=True)
class Answer:
    """A picture's mean IoU and its mask as PNG."""

    mean_iou: float
    index: int
    packed: NDArray[np.uint8] = field(compare=False)


@dataclass(frozen=True)
class Evaluation:
    """How an artifact did on a dataset."""

    names: tuple[str, ...]  # of the classes
    counts: NDArray[np.int64]  # (n, n), true class first
    border_counts: NDArray[np.int64]  # the same, of the pixels within BAND of a border in the truth alone
    per_picture: tuple[float, ...]  # mean IoU of each; nan where all is void
    answers: Mapping[int, NDArray[np.uint8]]  # number of a picture to its mask as PNG, of the best and the worst
    best: tuple[int, ...]  # numbers of pictures, the best first
    worst: tuple[int, ...]  # the worst first; none of the best

    def scores(self) -> Scores:
        return scores_of(self.counts, self.names)

    def border_scores(self) -> Scores:
        """The same scores at the borders of things, where coarse maps fail.

        The band is a "trimap" as in Kohli, Ladicky and Torr, IJCV 2009, section 6, and Kraehenbuehl and Koltun,
        NIPS 2011, section 5: pixels at most BAND from another class in the truth, errors counted in it alone. Void
        counts as another class there, for PASCAL VOC draws its borders in void, but is never scored. (Not the Boundary
        IoU of Cheng et al., CVPR 2021, which matches two contours.)
        """
        return scores_of(self.border_counts, self.names)

    def mask(self, index: int) -> NDArray[np.uint8]:
        """(H, W), of one of the best or the worst."""
        return np.asarray(cv2.imdecode(self.answers[index], cv2.IMREAD_UNCHANGED), np.uint8)

    def to_json(self) -> dict[str, Any]:
        borders = self.border_scores()
        return {
            **self.scores().to_json(),
            "border": {"pixels": BAND, "mean_iou": borders.mean_iou, "per_class_iou": borders.per_class_iou},
            "confusion": self.counts.tolist(),
            "mean_iou_of_pictures": list(self.per_picture),
        }


def evaluate(segment: Segment, dataset: Dataset, title: str) -> Evaluation:
    """Every picture of the dataset through `segment`, once; raises SourceError."""
    size = len(dataset.labels)
    counts, border_counts = np.zeros((2, size, size), np.int64)
    per_picture: list[float] = []
    kept: list[Answer] = []
    for index in tracked(range(len(dataset)), title, len(dataset)):
        image, truth = labelled_picture(dataset, index)
        mask = segment(image)
        own = confusion(truth, mask, size)
        counts += own
        border_counts += confusion(np.where(boundary_band(truth), truth, np.uint8(VOID)), mask, size)
        per_picture.append(scores_of(own, dataset.labels.names).mean_iou)
        if own.any():
            kept = _extremes([*kept, Answer(per_picture[-1], index, _packed(mask))])
    return _evaluation(dataset.labels.names, counts, border_counts, tuple(per_picture), kept)


def _packed(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.imencode(".png", mask, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1], np.uint8)


def _extremes(answers: list[Answer]) -> list[Answer]:
    """The worst and the best of them, sorted: a long dataset's masks do not fit into memory."""
    ranked = sorted(answers, key=lambda answer: (answer.mean_iou, answer.index))
    return ranked if len(ranked) <= 2 * KEPT else ranked[:KEPT] + ranked[-KEPT:]


def _evaluation(
    names: tuple[str, ...],
    counts: NDArray[np.int64],
    border_counts: NDArray[np.int64],
    per_picture: tuple[float, ...],
    kept: list[Answer],
) -> Evaluation:
    """Of few pictures the better half are the best."""
    order = [answer.index for answer in kept]
    best, worst = order[len(order) // 2 :][::-1], order[: len(order) // 2]
    answers = {answer.index: answer.packed for answer in kept}
    return Evaluation(names, counts, border_counts, per_picture, answers, tuple(best), tuple(worst))
