"""Which calibration serves a file best: methods and sizes of the set, scored on labelled pictures held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.cache import Snapshots
from calibration.image_set import CalibrationSet
from calibration.thresholds import METHODS, thresholds
from export.prover import Prover, Recipe
from export.score import open_artifact
from fcn_edge.scoring import answer

HELD_OUT = 24  # pictures that judge
CHANCE = 0.002  # of mean IoU: what HELD_OUT pictures cannot tell apart
SMALLER = (4, 2)  # sets of a fourth and of a half are tried too


@dataclass(frozen=True)
class Entry:
    """One candidate of one precision."""

    precision: str
    method: str
    count: int  # pictures that gave the ranges
    mean_iou: float
    agreement: float  # with fp32's masks


def set_sizes(count: int) -> list[int]:
    return sorted({*(max(1, count // part) for part in SMALLER), count})


def held_out(pictures: CalibrationSet) -> list[int]:
    """Numbers of up to HELD_OUT pictures of the dataset that calibrate nothing, by lot."""
    rest = np.setdiff1d(np.arange(len(pictures.dataset)), pictures.indices)
    return sorted(int(index) for index in np.random.default_rng(pictures.seed).permutation(rest)[:HELD_OUT])


def judge(prover: Prover, pictures: CalibrationSet) -> Prover | None:
    """Who compares candidates with the fp32 file on held-out pictures; None where no picture labelled so is left."""
    indices = held_out(pictures)
    labelled = pictures.dataset.has_masks and pictures.dataset.labels.names == prover.facts.labels.names
    if not indices or not labelled:
        return None
    with open_artifact(prover.fp32_path, prover.engine) as artifact:
        reference = answer(artifact.segment, pictures.dataset, "scoring fp32 on pictures held out", indices)
    seen = reference.confusions is not None and reference.confusions.any()
    return prover.on(pictures.dataset, reference) if seen else None


def contest(prover: Prover, precision: str, snapshots: Snapshots) -> list[Entry]:
    """Every method on the whole set, then the best one on smaller sets; the winner first."""
    *smaller, whole = sorted(snapshots)
    entries = [_tried(prover, precision, method, whole, snapshots) for method in METHODS]
    best = ranked(entries)[0]
    return ranked(entries + [_tried(prover, precision, best.method, count, snapshots) for count in smaller])


def ranked(entries: Sequence[Entry]) -> list[Entry]:
    """By mean IoU; among those nearer to the best than chance, by the masks' agreement. Of equals the one tried first.

    On a few pictures a lossy file gains as easily as it loses; agreement counts pixels, and far more of them.
    """
    best = max(entry.mean_iou for entry in entries)

    def place(entry: Entry) -> tuple[bool, float]:
        near = entry.mean_iou >= best - CHANCE
        return near, entry.agreement if near else entry.mean_iou

    return sorted(entries, key=place, reverse=True)


def _tried(prover: Prover, precision: str, method: str, count: int, snapshots: Snapshots) -> Entry:
    found = prover.tried(Recipe(precision, thresholds(snapshots[count], method)))
    mean_iou = found.scores.mean_iou if found.scores else 0.0
    return Entry(precision, method, count, 0.0 if np.isnan(mean_iou) else mean_iou, found.agreement)


def ceilings_of(entry: Entry, snapshots: Snapshots) -> Mapping[str, float]:
    return thresholds(snapshots[entry.count], entry.method)
