"""Which pictures stand for the world when ranges are observed: a reproducible choice with a digest.

Labels are not needed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from fcn_edge.datasets import Dataset
from fcn_edge.errors import SourceError, UsageError


@dataclass(frozen=True)
class CalibrationSet:
    """Pictures of a dataset, by number."""

    dataset: Dataset
    indices: tuple[int, ...]
    seed: int

    def __len__(self) -> int:
        return len(self.indices)

    def to_json(self) -> dict[str, Any]:
        """What a manifest keeps of the choice."""
        names = [self.dataset.name(index) for index in self.indices]
        return {"count": len(self), "seed": self.seed, "pictures": names, "sha256": self.digest()}

    def digest(self) -> str:
        """sha256 over the names and pixels of the chosen pictures."""
        digest = hashlib.sha256()
        for index in self.indices:
            image = self.dataset.image(index)
            digest.update(f"{self.dataset.name(index)} {image.shape}\n".encode())
            digest.update(image.tobytes())
        return digest.hexdigest()


def pick(dataset: Dataset, count: int, seed: int = 0) -> CalibrationSet:
    """`count` pictures by lot (all, if there are fewer), in the dataset's order; the same for the same seed."""
    if not len(dataset):
        raise SourceError("wanted pictures to calibrate with, found none; name a dataset that holds some")
    if count < 1:
        raise UsageError(f"wanted at least one calibration picture, found {count}; ask for 32 or more")
    chosen = np.random.default_rng(seed).permutation(len(dataset))[:count]
    return CalibrationSet(dataset, tuple(int(index) for index in np.sort(chosen)), seed)
