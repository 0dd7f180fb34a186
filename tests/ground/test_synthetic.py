"""datasets/synthetic.py: drawn pictures in splits that share nothing."""

import numpy as np
import pytest

from fcn_edge.datasets.street import CLASSES
from fcn_edge.datasets.synthetic import SIZE_HW, SPLITS, STREET_LABELS, SyntheticStreet, open_synthetic
from fcn_edge.errors import SourceError


def test_labels_are_the_classes_of_the_street() -> None:
    assert STREET_LABELS.names == tuple(name for name, _ in CLASSES)
    assert STREET_LABELS.palette == tuple(rgb for _, rgb in CLASSES)


def test_no_two_splits_share_a_street() -> None:
    splits = [open_synthetic(split) for split in SPLITS]
    streets = [split.name(index) for split in splits for index in range(len(split))]
    assert len(splits) == 3 and len(set(streets)) == len(streets)


@pytest.mark.parametrize("index", [0, 1, 39])
def test_a_picture_is_the_same_whenever_it_is_asked_for(index: int) -> None:
    first, second = open_synthetic("val"), open_synthetic("val")
    image, mask = first.image(index), first.mask(index)
    first.image(index + 1)
    np.testing.assert_array_equal(second.image(index), image)
    np.testing.assert_array_equal(second.mask(index), mask)
    np.testing.assert_array_equal(first.image(index), image)


def test_what_a_caller_does_to_a_picture_stays_with_the_caller() -> None:
    dataset = open_synthetic("val")
    before = dataset.image(0).copy()
    dataset.image(0)[:] = 0
    dataset.mask(0)[:] = 77
    np.testing.assert_array_equal(dataset.image(0), before)
    assert 77 not in dataset.mask(0)


def test_pictures_have_the_size_that_the_demo_counts_on() -> None:
    dataset = open_synthetic("train")
    assert dataset.image(0).shape == (*SIZE_HW, 3)
    assert dataset.mask(0).shape == SIZE_HW


def test_a_split_shows_every_class() -> None:
    dataset = open_synthetic("test")
    seen = set().union(*(np.unique(dataset.mask(k)).tolist() for k in range(len(dataset))))
    assert seen == {*range(len(STREET_LABELS)), 255}


def test_no_two_pictures_of_a_split_are_the_same() -> None:
    dataset = open_synthetic("val")
    assert len({dataset.image(k).tobytes() for k in range(len(dataset))}) == len(dataset)


@pytest.mark.parametrize("split", ["", "Train", "holdout"])
def test_an_unknown_split_is_refused_with_the_known_ones(split: str) -> None:
    with pytest.raises(SourceError, match="found only train, val, test"):
        open_synthetic(split)


def test_a_digest_is_that_of_the_pictures() -> None:
    assert SyntheticStreet(3, 5).digest() == SyntheticStreet(3, 5).digest()
    assert len({SyntheticStreet(count, seed).digest() for count, seed in ((3, 5), (2, 5), (3, 6))}) == 3
