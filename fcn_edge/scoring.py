"""Score anything that turns a frame into a mask against a labelled dataset. Opening it is someone else's work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset, labelled_picture
from fcn_edge.metrics import ConfusionMatrix, Scores
from fcn_edge.progress import tracked

Segment = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]  # frame (H, W, 3) BGR to mask (H, W) of the frame's size


@dataclass(frozen=True)
class Comparison:
    """How one artifact did, alone and against the reference it was made from."""

    scores: Scores
    agreement: float  # fraction of all pixels where its mask is the reference's

    def to_json(self) -> dict[str, Any]:
        return {**self.scores.to_json(), "agreement": self.agreement}


def score(segment: Segment, dataset: Dataset, title: str) -> Scores:
    """Every picture of the dataset through `segment`, counted in one confusion matrix; raises SourceError."""
    return compare({title: segment}, dataset, title)[title].scores


def compare(segments: Mapping[str, Segment], dataset: Dataset, title: str) -> dict[str, Comparison]:
    """Every picture through every artifact in one pass; the first of them is the reference of the agreement."""
    confusions = {name: ConfusionMatrix(dataset.labels.names) for name in segments}
    agreeing = dict.fromkeys(segments, 0)
    pixels = 0
    for index in tracked(range(len(dataset)), title, len(dataset)):
        image, truth = labelled_picture(dataset, index)
        masks = {name: segment(image) for name, segment in segments.items()}
        reference = next(iter(masks.values()))
        pixels += truth.size
        for name, mask in masks.items():
            confusions[name].update(truth, mask)
            agreeing[name] += int(np.count_nonzero(mask == reference))
    return {name: Comparison(confusions[name].scores(), agreeing[name] / max(1, pixels)) for name in segments}
