"""Calibration pictures: a reproducible choice that keeps rare classes, in an order whose beginnings are choices too."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.appearance import class_shares
from calibration.image_set import POOL, CalibrationSet, balanced, drawn, pick
from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.errors import SourceError, UsageError
from fcn_edge.labels import VOID
from tests.calibration.pictures import Painted, skewed


@pytest.fixture
def streets(street_folder: Path) -> Dataset:
    return open_dataset(f"folder:{street_folder}", "train")


def lot(dataset: Dataset, count: int, seed: int = 0) -> CalibrationSet:
    """What would be chosen if nobody looked at the masks."""
    return CalibrationSet(dataset, drawn(dataset, count, seed)[:count], seed)


def pictures_of(pictures: CalibrationSet, number: int) -> int:
    """How many pictures of a set show a class."""
    return sum(bool((pictures.dataset.mask(index) == number).any()) for index in pictures.indices)


@pytest.mark.parametrize("has_masks", [True, False])
def test_the_same_seed_picks_the_same_pictures_and_others_pick_others(has_masks: bool) -> None:
    dataset = replace(skewed(500), has_masks=has_masks)
    assert pick(dataset, 3, seed=4) == pick(dataset, 3, seed=4)
    assert len({pick(dataset, 3, seed=seed).indices for seed in range(8)}) == 8


@pytest.mark.parametrize("has_masks", [True, False])
def test_no_picture_is_taken_twice_and_more_than_there_are_means_all(has_masks: bool) -> None:
    dataset = replace(skewed(50), has_masks=has_masks)
    assert len(set(pick(dataset, 20).indices)) == 20
    for count in (50, 1000):
        assert sorted(pick(dataset, count).indices) == list(range(50))


def test_no_picture_is_not_enough(streets: Dataset) -> None:
    with pytest.raises(UsageError):
        pick(streets, 0)
    with pytest.raises(SourceError):
        pick(Painted((), 3), 1)


def test_without_masks_the_lot_decides_and_no_mask_is_read() -> None:
    dataset = replace(skewed(100), has_masks=False)
    pictures = pick(dataset, 10, seed=3)
    assert pictures.chosen == "lot"
    assert pictures.indices == tuple(np.random.default_rng(3).permutation(100)[:10])


@pytest.mark.parametrize("seed", range(5))
def test_rare_classes_gain_against_a_lot(seed: int) -> None:
    dataset = skewed(400, seed)
    ours, theirs = pick(dataset, 16, seed), lot(dataset, 16, seed)
    assert ours.chosen == "balance"
    for rare in (1, 2):
        assert pictures_of(ours, rare) > pictures_of(theirs, rare)
    assert pictures_of(ours, 2) == pictures_of(lot(dataset, 16 * POOL, seed), 2)  # every one that the pool has


def test_the_first_pictures_of_a_set_are_the_set_of_so_many() -> None:
    dataset = skewed(64)  # the pool of 4 holds it whole
    pictures = pick(dataset, 32, seed=2)
    for count in (4, 9, 31):
        assert pictures.first(count) == pick(dataset, count, seed=2)
    unlabelled = replace(skewed(1000), has_masks=False)
    assert pick(unlabelled, 32).first(7) == pick(unlabelled, 7)


def test_a_huge_dataset_is_not_read_whole() -> None:
    dataset = skewed(1000)
    pick(dataset, 5)
    assert len(dataset.read) == len(set(dataset.read)) == 5 * POOL


def test_greedy_is_near_the_best_of_all_choices() -> None:
    shares = np.random.default_rng(0).dirichlet([0.2] * 5, 12)

    def worth(rows: tuple[int, ...]) -> float:
        return float(np.sqrt(shares[list(rows)].sum(0)).sum())

    worths = sorted(worth(rows) for rows in itertools.combinations(range(12), 4))
    found = balanced(shares, 4)
    assert found[0] == max(range(12), key=lambda row: worth((row,)))
    assert worth(tuple(found)) >= worths[int(0.95 * len(worths))]


def test_a_picture_that_shows_nothing_is_taken_last() -> None:
    masks = [np.full((4, 4), number, np.uint8) for number in (VOID, 0, 1, 0)]
    pictures = pick(Painted(tuple(masks), 2), 4)
    assert pictures.indices[-1] == 0
    assert {int(masks[index][0, 0]) for index in pictures.indices[:2]} == {0, 1}


def test_pictures_without_a_single_label_are_taken_once_each() -> None:
    void = np.full((4, 4), VOID, np.uint8)
    assert sorted(pick(Painted((void,) * 5, 2), 5).indices) == list(range(5))


def test_a_damaged_mask_is_named(street_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(street_folder, tmp_path / "copy")
    (tmp_path / "copy" / "masks" / "train" / "003.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"003\.png"):
        pick(open_dataset(f"folder:{tmp_path / 'copy'}", "train"), 2)


def test_the_digest_follows_names_pixels_and_order(streets: Dataset) -> None:
    pictures = pick(streets, 4)
    assert pick(streets, 4).digest() == pictures.digest()
    digests = {
        pictures.digest(),
        pictures.first(3).digest(),
        replace(pictures, indices=pictures.indices[::-1]).digest(),
        CalibrationSet(skewed(9), (1, 2), 0).digest(),
        CalibrationSet(skewed(9), (2, 1), 0).digest(),
    }
    assert len(digests) == 5


def test_a_manifest_keeps_how_the_set_came_about(streets: Dataset) -> None:
    pictures = pick(streets, 3, seed=5)
    assert pictures.to_json() == {
        "count": 3,
        "seed": 5,
        "chosen": "balance",
        "pictures": [streets.name(index) for index in pictures.indices],
        "sha256": pictures.digest(),
    }


@pytest.mark.realdata
def test_of_real_streets_a_balanced_set_shows_every_class_and_more_of_the_rare(real_data: Path) -> None:
    dataset = open_dataset(f"camvid:{real_data / 'camvid'}", "train")
    ours, theirs = (
        class_shares(dataset, pictures.indices).sum(0) for pictures in (pick(dataset, 32), lot(dataset, 32))
    )
    assert len(ours) == 11 and (ours > 0).all()
    for rare in ("bicyclist", "sign_symbol"):
        number = dataset.labels.names.index(rare)
        assert ours[number] > 1.5 * theirs[number]
