"""What the network is fed: crops whose picture and mask stay together, class weights, a reproducible order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.datasets import labelled_picture, open_dataset
from fcn_edge.errors import SourceError, UsageError
from fcn_edge.labels import VOID, LabelSet
from fcn_edge.training.augment import Augmentation, plain_crop
from fcn_edge.training.batches import (
    EpochSampler,
    Share,
    TrainingCrops,
    class_pixels,
    class_weights,
    training_batches,
)
from fcn_edge.training.ranks import Ranks
from fcn_edge.training.schedule import learning_rate, training_progress

LABELS = LabelSet(("dark", "light"), ((0, 0, 0), (255, 255, 255)))


@dataclass(frozen=True)
class Halves:
    """Pictures whose left half is dark and class 0, whose right half is light and class 1."""

    count: int = 4
    mask_hw: tuple[int, int] = (40, 60)
    fill: int | None = None
    labels: LabelSet = LABELS
    has_masks: bool = True

    def __len__(self) -> int:
        return self.count

    def name(self, index: int) -> str:
        return f"halves-{index}"

    def image(self, index: int) -> NDArray[np.uint8]:
        image = np.full((40, 60, 3), 30, np.uint8)
        image[:, 30:] = 220
        return image

    def mask(self, index: int) -> NDArray[np.uint8]:
        mask = np.zeros(self.mask_hw, np.uint8)
        mask[:, self.mask_hw[1] // 2 :] = 1
        return mask if self.fill is None else np.full(self.mask_hw, self.fill, np.uint8)

    def digest(self) -> str:
        return "halves"


STILL = Augmentation(brightness=0, contrast=0, saturation=0, hue_degrees=0)


@pytest.mark.parametrize("seed", range(20))
def test_picture_and_mask_move_together(seed: int) -> None:
    data = Halves()
    image, mask = STILL(data.image(0), data.mask(0), (32, 48), np.random.default_rng(seed))
    assert image.shape == (32, 48, 3) and mask.shape == (32, 48)
    light = image[..., 0] > 125
    seen = mask != VOID
    wrong = seen & (light != (mask == 1))
    assert wrong.sum() <= 2 * 32  # bilinear against nearest: at most the columns along the edge


def test_pixels_beyond_the_border_are_void() -> None:
    small = Augmentation(scale=(0.5, 0.5), stretch=1.0)
    data = Halves()
    _, mask = small(data.image(0), data.mask(0), (40, 60), np.random.default_rng(0))
    assert np.count_nonzero(mask != VOID) == pytest.approx(20 * 30, abs=60)


def test_light_changes_leave_the_mask_alone() -> None:
    fixed = Augmentation(scale=(1.0, 1.0), stretch=1.0, brightness=80)
    data = Halves()
    pictures = [fixed(data.image(0), data.mask(0), (40, 60), np.random.default_rng(seed)) for seed in range(12)]
    assert len({picture.tobytes() for picture, _ in pictures}) > 6
    assert {mask.tobytes() for _, mask in pictures} == {data.mask(0).tobytes(), data.mask(0)[:, ::-1].tobytes()}


def test_a_crop_depends_on_seed_epoch_and_index_alone() -> None:
    crops = TrainingCrops(Halves(), (32, 32), seed=5)
    first = crops[(3, 1)]
    crops[(0, 0)]
    again = TrainingCrops(Halves(), (32, 32), seed=5)[(3, 1)]
    assert all(bool((a == b).all()) for a, b in zip(first, again, strict=True))
    assert not bool((crops[(4, 1)][0] == first[0]).all())


def test_every_epoch_sees_every_picture_in_a_new_order() -> None:
    sampler = EpochSampler(10, 1, Share(1))
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append([index for _, index in sampler])
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3


def test_batches_keep_frames_as_bytes(street_folder: Path) -> None:
    data = open_dataset(f"folder:{street_folder}", "train")
    [(frames, masks)] = next(iter(training_batches(data, (64, 64), Share(4), seed=0, workers=0)))
    assert tuple(frames.shape) == (4, 64, 64, 3) and str(frames.dtype) == "torch.uint8"
    assert tuple(masks.shape) == (4, 64, 64) and str(masks.dtype) == "torch.int64"


def test_rare_classes_weigh_more_within_limits() -> None:
    weights = class_weights(np.array([1_000_000, 10_000, 100, 0]))
    assert weights[0] < weights[1] < weights[2]
    assert weights.min() >= 0.25 and weights.max() <= 4.0 and weights[3] == 1.0


def test_pixels_are_counted_without_void(street_folder: Path) -> None:
    data = open_dataset(f"folder:{street_folder}", "train")
    wanted = sum(int((data.mask(index) != VOID).sum()) for index in range(len(data)))
    assert class_pixels(data, "training").sum() == wanted


def test_masks_of_nothing_but_void_are_refused() -> None:
    with pytest.raises(SourceError, match=r"validation masks .* 100% of their pixels are void"):
        class_pixels(Halves(fill=VOID), "validation")


def test_training_masks_of_one_class_alone_are_refused() -> None:
    """A mask painted in 0 and 255 is of one class, for 255 is void."""
    with pytest.raises(SourceError, match=r"wanted training masks of .*255 is always void"):
        class_pixels(Halves(fill=0), "training", fewest=2)


def test_classes_without_a_pixel_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    class_pixels(Halves(fill=0), "validation")
    assert "note: the validation masks have no pixel of " in capsys.readouterr().err


def test_a_mask_of_another_size_than_its_picture_is_refused() -> None:
    with pytest.raises(SourceError, match="halves-2"):
        labelled_picture(Halves(mask_hw=(20, 30)), 2)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_learning_rate_rises_once_to_its_peak_and_falls_to_nothing(schedule: str) -> None:
    rates = [learning_rate(schedule, step / 1000) for step in range(1001)]
    peak = rates.index(max(rates))
    assert max(rates) == pytest.approx(1, abs=0.01) and rates[-1] == pytest.approx(0, abs=1e-9)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


@pytest.mark.parametrize(
    ("step", "elapsed_s", "limit_s", "wanted"),
    [(50, 0, None, 0.5), (50, 90, 100, 0.9), (50, 10, 100, 0.5), (50, 999, 100, 1.0)],
)
def test_progress_follows_steps_or_the_clock_whichever_is_further(
    step: int, elapsed_s: float, limit_s: float | None, wanted: float
) -> None:
    assert training_progress(step, 100, elapsed_s, limit_s) == pytest.approx(wanted)


@pytest.mark.parametrize("crop_hw", [(40, 60), (20, 30), (50, 30), (20, 90), (64, 96)])
def test_a_plain_crop_is_a_part_of_the_picture_pixel_by_pixel(crop_hw: tuple[int, int]) -> None:
    """Green and red tell each pixel's place; what lies beyond the border is void."""
    places = np.indices((40, 60)).astype(np.uint8)
    image = np.dstack([np.full((40, 60), 7, np.uint8), *places])
    seen_firsts = set()
    for seed in range(20):
        cut, mask = plain_crop(image, places.sum(0).astype(np.uint8), crop_hw, np.random.default_rng(seed))
        assert cut.shape == (*crop_hw, 3) and mask.shape == crop_hw
        seen = mask != VOID
        assert np.count_nonzero(seen) == min(crop_hw[0], 40) * min(crop_hw[1], 60)
        assert (cut[seen][:, 0] == 7).all() and (cut[seen][:, 1:].sum(1) == mask[seen]).all()
        seen_firsts.add((*np.argwhere(seen)[0], *cut[seen][0]))
    assert len(seen_firsts) > 3 or crop_hw == (40, 60)


def test_whole_pictures_without_augmentation_are_the_pictures_themselves() -> None:
    data = Halves()
    batches = list(training_batches(data, None, Share(2), seed=0, workers=0, augment=False))
    assert len(batches) == 2
    for [(frames, masks)] in batches:
        for frame, mask in zip(frames.numpy(), masks.numpy(), strict=True):
            assert (frame == data.image(0)).all() and (mask == data.mask(0)).all()


def test_whole_pictures_are_augmented_at_their_own_size() -> None:
    [(frames, masks)] = next(iter(training_batches(Halves(), None, Share(2), seed=0, workers=0)))
    assert tuple(frames.shape) == (2, 40, 60, 3) and tuple(masks.shape) == (2, 40, 60)
    assert not (frames[0] == frames[1]).all()


@pytest.mark.parametrize(("accumulate", "world"), [(1, 1), (3, 1), (1, 2), (3, 2)])
def test_the_shares_of_all_processes_are_the_batches_of_one(accumulate: int, world: int) -> None:
    """Each micro-batch, too, and in its order; what fills no batch is nobody's."""
    shares = [Share(12, accumulate, Ranks(rank, world)) for rank in range(world)]
    order = np.random.default_rng(0).permutation(30)
    parts = [share.of(order).reshape(2, accumulate, -1) for share in shares]
    assert np.array_equal(np.concatenate(parts, axis=2).ravel(), order[:24])
    assert all(part.shape[2] == share.micro_batch for part, share in zip(parts, shares, strict=True))


def test_a_batch_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(UsageError, match=r"2 processes .* --accumulate 3, found 4 .* multiple of 6"):
        Share(4, 3, Ranks(0, 2))


@dataclass(frozen=True)
class Uneven(Halves):
    """Of another height each."""

    def image(self, index: int) -> NDArray[np.uint8]:
        return super().image(index)[: 40 - index]

    def mask(self, index: int) -> NDArray[np.uint8]:
        return super().mask(index)[: 40 - index]


def test_whole_pictures_of_different_sizes_need_a_batch_each() -> None:
    assert len(list(training_batches(Uneven(), None, Share(1), seed=0, workers=0))) == 4
    assert len(next(iter(training_batches(Uneven(), None, Share(4, accumulate=4), seed=0, workers=0)))) == 4
    with pytest.raises(SourceError, match=r"one size in a batch, found .*; add --batch-size 1, .* or --crop HxW"):
        list(training_batches(Uneven(), None, Share(4), seed=0, workers=0))


def test_a_fixed_learning_rate_stays() -> None:
    assert {learning_rate("fixed", step / 10) for step in range(11)} == {1.0}
