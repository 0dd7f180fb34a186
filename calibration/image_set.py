"""Which pictures stand for the world when ranges are observed: a reproducible choice with a digest.

Labels are not needed; where there are some, they keep rare classes from being forgotten.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration.appearance import class_shares
from fcn_edge.datasets import Dataset
from fcn_edge.errors import SourceError, UsageError

CHOSEN = ("balance", "lot", "list")  # by what their masks show, by chance, or by someone who named them
POOL = 16  # masks read for each picture taken: enough to choose from, and a huge dataset is not read whole


@dataclass(frozen=True)
class CalibrationSet:
    """Pictures of a dataset, by number, in the order of choice."""

    dataset: Dataset
    indices: tuple[int, ...]
    seed: int
    chosen: str = "lot"  # one of CHOSEN

    def __len__(self) -> int:
        return len(self.indices)

    def first(self, count: int) -> CalibrationSet:
        """The first `count` pictures: what a choice of so many from the same pool would be."""
        return replace(self, indices=self.indices[:count])

    def names(self) -> list[str]:
        return [self.dataset.name(index) for index in self.indices]

    def to_json(self) -> dict[str, Any]:
        """What a manifest keeps of the choice."""
        return {
            "count": len(self),
            "seed": self.seed,
            "chosen": self.chosen,
            "pictures": self.names(),
            "sha256": self.digest(),
        }

    def digest(self) -> str:
        """sha256 over the names and pixels of the chosen pictures, in order."""
        digest = hashlib.sha256()
        for index in self.indices:
            image = self.dataset.image(index)
            digest.update(f"{self.dataset.name(index)} {image.shape}\n".encode())
            digest.update(image.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Pool:
    """Pictures drawn by lot, of which a set is chosen, and what their masks show."""

    dataset: Dataset
    seed: int
    indices: tuple[int, ...]  # as drawn
    shares: NDArray[np.float64] | None  # (pictures, classes), see class_shares; None without masks


def pick(dataset: Dataset, count: int, seed: int = 0) -> CalibrationSet:
    """`count` pictures (all, if there are fewer), the same for the same seed; raises SourceError, UsageError.

    Where there are masks the set is balanced: each picture is the one of the pool that helps the classes most which
    the pictures before it show least. Without masks the lot decides.
    """
    return pick_from(pool_of(dataset, count, seed), count)


def pool_of(dataset: Dataset, count: int, seed: int = 0) -> Pool:
    """What is drawn for a choice of `count`, with the masks read; raises SourceError for one that cannot be."""
    indices = drawn(dataset, count, seed)
    return Pool(dataset, seed, indices, class_shares(dataset, indices) if dataset.has_masks else None)


def drawn(dataset: Dataset, count: int, seed: int = 0) -> tuple[int, ...]:
    """Numbers of at most POOL * `count` pictures, by lot; raises SourceError, UsageError."""
    if not len(dataset):
        raise SourceError("wanted pictures to calibrate with, found none; name a dataset that holds some")
    if count < 1:
        raise UsageError(f"wanted at least one calibration picture, found {count}; ask for 32 or more")
    return tuple(int(index) for index in np.random.default_rng(seed).permutation(len(dataset))[: POOL * count])


def pick_from(pool: Pool, count: int) -> CalibrationSet:
    if pool.shares is None:
        return CalibrationSet(pool.dataset, pool.indices[:count], pool.seed, "lot")
    indices = tuple(pool.indices[position] for position in balanced(pool.shares, count))
    return CalibrationSet(pool.dataset, indices, pool.seed, "balance")


def balanced(shares: NDArray[np.float64], count: int) -> list[int]:
    """Greedily the rows that raise sum(sqrt(share of each class so far)) most; of equals the first.

    Under the root a class counts less the more of it is there, so the least shown gains most. The sum is submodular:
    greedy reaches at least 1 - 1/e of the best (Nemhauser, Wolsey, Fisher, Mathematical Programming 14, 1978).
    """
    taken: list[int] = []
    so_far = np.zeros(shares.shape[1])
    for _ in range(min(count, len(shares))):
        reached = np.sqrt(so_far + shares).sum(1)
        reached[taken] = -1  # below any other: nothing is taken twice
        taken.append(int(reached.argmax()))
        so_far += shares[taken[-1]]
    return taken
