"""From a dataset to batches of tensors: reproducible shuffling and augmentation, and a survey of the labels."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Sampler, default_collate
from torch.utils.data import Dataset as TorchDataset

from fcn_edge.datasets import Dataset, labelled_picture
from fcn_edge.errors import SourceError, UsageError
from fcn_edge.labels import VOID
from fcn_edge.progress import say, tracked
from fcn_edge.training.augment import Augmentation, Crop, LabelledPicture, plain_crop
from fcn_edge.training.pasting import NO_PASTING, Pasting
from fcn_edge.training.ranks import ALONE, Ranks


def class_pixels(dataset: Dataset, role: str, fewest: int = 1) -> NDArray[np.int64]:
    """Labelled pixels of each class; every mask is read for it, so a bad one is found now and not in epoch 7.

    Classes without a pixel are told, for a list or an `ignore_index` that does not fit the masks looks like that.
    Raises SourceError where there are fewer than `fewest` (of a longer list); `role` is what messages call the dataset.
    """
    counts = np.zeros(256, np.int64)
    for index in tracked(range(len(dataset)), "reading masks", len(dataset)):
        counts += np.bincount(dataset.mask(index).ravel(), minlength=256)
    pixels = counts[: len(dataset.labels)]
    void = f"{counts[VOID] / counts.sum():.0%} of their pixels are void"
    absent = [name for name, found in zip(dataset.labels.names, pixels, strict=True) if not found]
    if len(pixels) - len(absent) < min(fewest, len(pixels)):
        raise SourceError(
            f"wanted {role} masks of {' and '.join(dataset.labels.names[:2])} or more, found none of "
            f"{absent[-1]}; {void}; check the masks and the class list's ids and ignore_index (255 is always void)"
        )
    if absent:
        more = f" and {len(absent) - 3} more" if len(absent) > 3 else ""
        say(f"note: the {role} masks have no pixel of {', '.join(absent[:3])}{more}; {void}")
    return pixels


def class_weights(pixels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Weights of the loss: the inverse root of each class's share, 1 at the median class, within 1/4 .. 4.

    The root, because full inverse shares cost the large classes more IoU than they give the rare ones.
    """
    share = pixels / pixels.sum()
    weights = np.ones_like(share)
    present = share > 0
    weights[present] = np.sqrt(np.median(share[present]) / share[present])
    return np.asarray(np.clip(weights, 0.25, 4.0), np.float32)


@dataclass(frozen=True)
class Share:
    """What one process takes of each batch: its part of each of the batch's micro-batches.

    Raises UsageError when the parts would not be of one size.
    """

    batch_size: int  # of all processes
    accumulate: int = 1  # micro-batches, one after another
    ranks: Ranks = ALONE

    def __post_init__(self) -> None:
        parts = self.accumulate * self.ranks.world
        if self.batch_size % parts:
            raise UsageError(
                f"wanted a batch that {self.ranks.world} processes share evenly in --accumulate {self.accumulate}, "
                f"found {self.batch_size} pictures; make --batch-size a multiple of {parts}"
            )

    @property
    def micro_batch(self) -> int:
        """Pictures that this process has at a time."""
        return self.batch_size // (self.accumulate * self.ranks.world)

    def of(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of an epoch's pictures (n,) this process's, batch after batch; what fills no batch is left out."""
        batches = len(order) // self.batch_size
        parts = (batches, self.accumulate, self.ranks.world, self.micro_batch)
        return order[: batches * self.batch_size].reshape(parts)[:, :, self.ranks.rank].ravel()


class EpochSampler(Sampler[tuple[int, int]]):
    """Yields (epoch, index), shuffled anew each epoch: a resumed run sees what an unbroken one would have seen."""

    def __init__(self, count: int, seed: int, share: Share, first_epoch: int = 0) -> None:
        self.count, self.seed, self.share, self.epoch = count, seed, share, first_epoch

    def set_epoch(self, epoch: int) -> None:  # Lightning calls this; in a resumed run after its workers read ahead
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.share.of(np.arange(self.count)))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
        return iter([(self.epoch, int(index)) for index in self.share.of(order)])


@dataclass(frozen=True)
class TrainingCrops(TorchDataset[tuple[Tensor, Tensor]]):
    """Crops, augmented or not: (h, w, 3) BGR uint8 and (h, w) int64, a function of (seed, epoch, index) alone."""

    dataset: Dataset
    crop_hw: tuple[int, int] | None  # None: as large as the picture
    seed: int
    crop: Crop = field(default_factory=Augmentation)
    pasting: Pasting = field(default_factory=Pasting)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        epoch, index = key
        rng = np.random.default_rng((self.seed, epoch, index))
        image, mask = self._cropped(index, self.crop_hw, rng)
        if self.pasting.wished(rng):
            other = self._cropped(int(rng.integers(len(self.dataset))), mask.shape, rng)
            image, mask = self.pasting.pasted((image, mask), other, rng)
        # Widened by NumPy: torch would wake its threads for it, which costs more than the crop on a busy machine.
        return torch.from_numpy(image), torch.from_numpy(mask.astype(np.int64))

    def _cropped(self, index: int, size_hw: tuple[int, ...] | None, rng: Generator) -> LabelledPicture:
        """Of the picture's own size where none is asked for."""
        image, mask = labelled_picture(self.dataset, index)
        height, width = size_hw or mask.shape
        return self.crop(image, mask, (height, width), rng)


@dataclass(frozen=True)
class WholePictures(TorchDataset[tuple[Tensor, Tensor]]):
    """Validation pictures as they are: (H, W, 3) BGR uint8 and (H, W) uint8."""

    dataset: Dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, mask = labelled_picture(self.dataset, index)
        return torch.from_numpy(image), torch.from_numpy(mask)


def training_batches(
    dataset: Dataset,
    crop_hw: tuple[int, int] | None,
    share: Share,
    seed: int,
    workers: int,
    *,
    augment: bool = True,
    pasting: Pasting = NO_PASTING,
    first_epoch: int = 0,
) -> DataLoader[Any]:
    """One process's share of each batch: a list of micro-batches, each of frames and masks."""
    return DataLoader(
        TrainingCrops(dataset, crop_hw, seed, Augmentation() if augment else plain_crop, pasting),
        collate_fn=partial(_micro_batches, size=share.micro_batch),
        batch_size=share.accumulate * share.micro_batch,
        sampler=EpochSampler(len(dataset), seed, share, first_epoch),
        num_workers=workers,
        worker_init_fn=_as_helper,
        persistent_workers=workers > 0,
    )


def _micro_batches(pairs: list[tuple[Tensor, Tensor]], size: int) -> list[Any]:
    return [_of_one_size(pairs[first : first + size]) for first in range(0, len(pairs), size)]


def _of_one_size(pairs: list[tuple[Tensor, Tensor]]) -> Any:
    """A micro-batch; raises SourceError when whole pictures differ in size."""
    sizes = sorted({tuple(mask.shape) for _, mask in pairs})
    if len(sizes) > 1:
        found = " and ".join(f"{height}x{width}" for height, width in sizes[:2])
        raise SourceError(
            f"wanted whole pictures of one size in a batch, found {found}; "
            "add --batch-size 1, as much --accumulate as --batch-size, or --crop HxW"
        )
    return default_collate(pairs)


def validation_batches(dataset: Dataset, workers: int, ranks: Ranks = ALONE) -> DataLoader[Any]:
    """Picture by picture, those of one process: all of them together have each picture once."""
    return DataLoader(
        WholePictures(dataset),
        sampler=range(ranks.rank, len(dataset), ranks.world),
        num_workers=workers,
        worker_init_fn=_as_helper,
        persistent_workers=workers > 0,
    )


def _as_helper(_: int) -> None:
    """In a process that reads pictures: the cores belong to the network, and Ctrl-C to the main process."""
    cv2.setNumThreads(0)
    os.setpgid(0, 0)  # torchrun ends its processes by SIGTERM to their groups
    signal.signal(signal.SIGINT, signal.SIG_IGN)
