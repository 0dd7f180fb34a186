"""Calibration pictures: a reproducible choice, read exactly as the runtime reads frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from calibration.image_set import pick
from calibration.ranges import FrameReader
from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.errors import UsageError
from fcn_edge.images import fit_frame


@pytest.fixture
def streets(street_folder: Path) -> Dataset:
    return open_dataset(f"folder:{street_folder}", "train")


def test_the_same_seed_picks_the_same_pictures(streets: Dataset) -> None:
    assert pick(streets, 3, seed=4) == pick(streets, 3, seed=4)
    assert len({pick(streets, 3, seed=seed).indices for seed in range(8)}) > 1


def test_pictures_are_distinct_and_in_order(streets: Dataset) -> None:
    chosen = pick(streets, 5).indices
    assert list(chosen) == sorted(set(chosen)) and len(chosen) == 5


def test_more_than_there_are_means_all(streets: Dataset) -> None:
    assert pick(streets, 1000).indices == tuple(range(len(streets)))


def test_no_picture_is_not_enough(streets: Dataset) -> None:
    with pytest.raises(UsageError):
        pick(streets, 0)


def test_the_digest_follows_the_pixels(streets: Dataset) -> None:
    before = pick(streets, 6).digest()
    assert pick(streets, 6).digest() == before
    assert pick(streets, 5).digest() != before


def test_the_reader_gives_frames_as_the_runtime_does(streets: Dataset) -> None:
    steps: list[str] = []
    reader = FrameReader(pick(streets, 4), "frame", (32, 40), lambda note="": steps.append(note))
    feeds = []
    while (feed := reader.get_next()) is not None:
        feeds.append(feed["frame"])
    assert len(feeds) == len(reader) == len(steps) == 4
    for feed, index in zip(feeds, pick(streets, 4).indices, strict=True):
        assert feed.shape == (1, 32, 40, 3) and feed.dtype == np.uint8
        assert np.array_equal(feed[0], fit_frame(streets.image(index), (32, 40)))


def test_the_reader_can_be_read_in_slices(streets: Dataset) -> None:
    reader = FrameReader(pick(streets, 6), "frame", (32, 40), lambda note="": None)
    reader.set_range(2, 4)
    counted = sum(1 for _ in iter(reader.get_next, None))
    assert counted == 2
