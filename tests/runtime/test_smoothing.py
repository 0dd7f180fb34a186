"""runtime.smoothing: which changes of a mask are shown at once, which later, which never."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fcn_edge.labels import VOID
from runtime.smoothing import CHANGED, MOST_GAP_S, Smoothing

SIZE_HW = (24, 32)
STILL = np.full((*SIZE_HW, 3), 90, np.uint8)


def of(number: int, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    return np.full(size_hw, number, np.uint8)


def shown(smoothing: Smoothing, numbers: str, frame: np.ndarray = STILL) -> str:
    """The classes shown while a still picture's masks are these, one digit each; every mask of one class."""
    masks = [smoothing(of(int(number), frame.shape[:2]), frame) for number in numbers]
    assert all(np.unique(mask).size == 1 for mask in masks)
    return "".join(str(mask[0, 0]) for mask in masks)


@pytest.mark.parametrize(
    ("agreeing", "given", "wanted"),
    [
        (1, "0101220", "0101220"),
        (2, "0100101", "0000000"),  # never twice in a row
        (2, "0011122", "0001112"),  # one mask late
        (2, "0123123", "0000000"),
        (3, "0011101", "0000111"),
        (3, "0112211222", "0000000002"),
        (5, "011110111110", "000000000011"),
    ],
)
def test_a_still_picture_takes_a_class_that_so_many_masks_agree_on(agreeing: int, given: str, wanted: str) -> None:
    assert shown(Smoothing(agreeing), given) == wanted


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 4), (4, 1), (3, 4), (4, 4), (37, 53)], ids=str)
def test_masks_of_any_size_are_smoothed(size_hw: tuple[int, int]) -> None:
    assert shown(Smoothing(2), "0100112", np.full((*size_hw, 3), 90, np.uint8)) == "0000011"


def test_a_class_that_stood_for_longer_than_a_byte_counts_still_stands() -> None:
    smoothing = Smoothing(3)
    assert shown(smoothing, "0" + "1" * 600) == "000" + "1" * 598
    assert shown(smoothing, "2122") == "1111"


def test_where_the_picture_changes_a_new_class_is_shown_at_once() -> None:
    smoothing, picture = Smoothing(5), np.full((64, 96, 3), 90, np.uint8)
    smoothing(of(0, (64, 96)), picture)
    moved = picture.copy()
    moved[:, 48:] = 200
    mask = smoothing(of(1, (64, 96)), moved)
    assert (mask[:, 48:] == 1).all()
    assert (mask[:, :38] == 0).all()


@pytest.mark.parametrize(("levels", "wanted"), [(CHANGED, 0), (CHANGED + 1, 1)])
def test_a_picture_has_changed_from_so_many_grey_levels_on(levels: int, wanted: int) -> None:
    smoothing = Smoothing(5)
    smoothing(of(0), STILL)
    assert (smoothing(of(1), STILL + np.uint8(levels)) == wanted).all()


def test_noise_of_a_sensor_is_no_change_of_the_picture() -> None:
    generator, smoothing = np.random.default_rng(1), Smoothing(2)
    classes = [(generator.random(SIZE_HW) < 0.3).astype(np.uint8) * 7 for _ in range(20)]
    masks = []
    for mask in classes:
        noisy = np.clip(STILL + generator.normal(0, 8, STILL.shape), 0, 255).astype(np.uint8)
        masks.append(smoothing(mask, noisy))
    assert flicker(masks) < 0.5 * flicker(classes)


def flicker(masks: list[np.ndarray]) -> float:
    return float(np.mean([(one != two).mean() for one, two in pairwise(masks)]))


def test_only_classes_that_the_masks_had_are_shown() -> None:
    generator, smoothing = np.random.default_rng(2), Smoothing(3)
    for _ in range(8):
        mask = smoothing(generator.choice(np.array([0, 7, VOID], np.uint8), SIZE_HW), STILL)
        assert set(np.unique(mask)) <= {0, 7, VOID}


def test_what_was_given_and_shown_before_stays_as_it_was() -> None:
    generator, smoothing = np.random.default_rng(3), Smoothing(2)
    given = [generator.integers(0, 3, SIZE_HW, np.uint8) for _ in range(6)]
    kept_given = [mask.copy() for mask in given]
    masks = [smoothing(mask, STILL) for mask in given]
    kept = [mask.copy() for mask in masks]
    smoothing(of(9), STILL)
    assert all(np.array_equal(one, two) for one, two in zip(given + masks, kept_given + kept, strict=True))
    assert (STILL == 90).all()


def test_each_source_has_a_past_of_its_own() -> None:
    smoothing = Smoothing(2)
    assert (smoothing(of(0), STILL, "left") == 0).all()
    assert (smoothing(of(1), STILL, "right") == 1).all()
    assert (smoothing(of(1), STILL, "left") == 0).all()
    assert (smoothing(of(1), STILL, "left") == 1).all()


@pytest.mark.parametrize(
    ("moments_s", "wanted"),
    [
        ((5.0, 5.0 + MOST_GAP_S), 0),
        ((5.0, 5.1 + MOST_GAP_S), 1),
        ((5.0, 4.9), 1),  # a clock that goes back
        ((1e6, 1e6 + 0.04), 0),
        ((None, None), 0),
    ],
)
def test_a_gap_begins_anew(moments_s: tuple[float | None, ...], wanted: int) -> None:
    smoothing = Smoothing(2)
    smoothing(of(0), STILL, "front", moments_s[0])
    assert (smoothing(of(1), STILL, "front", moments_s[1]) == wanted).all()


def test_a_change_of_size_begins_anew() -> None:
    smoothing = Smoothing(2)
    smoothing(of(0), STILL)
    assert (smoothing(of(1, (48, 32)), np.zeros((48, 32, 3), np.uint8)) == 1).all()
    assert (smoothing(of(2), STILL) == 2).all()


def test_a_source_that_was_lost_and_found_begins_anew() -> None:
    smoothing = Smoothing(2)
    smoothing(of(0), STILL, "front")
    smoothing(of(0), STILL, "back")
    smoothing.forget("front")
    smoothing.forget("nobody")
    assert (smoothing(of(1), STILL, "front") == 1).all()
    assert (smoothing(of(1), STILL, "back") == 0).all()


@pytest.mark.realdata
def test_truth_that_is_made_to_flicker_flickers_less(real_data: Path) -> None:
    """Of CamVid's own frames and truth: noise in a tenth of the pixels, whole blocks as models make them."""
    from fcn_edge.datasets import open_dataset

    dataset = open_dataset(f"camvid:{real_data / 'camvid'}", "val")
    generator, smoothing = np.random.default_rng(4), Smoothing(2)
    raw, smooth, wrong_raw, wrong_smooth = [], [], [], []
    for index in range(20):
        truth = dataset.mask(index)
        noise = np.kron(generator.random((truth.shape[0] // 8, truth.shape[1] // 8)) < 0.1, np.ones((8, 8), bool))
        raw.append(np.where(noise, np.uint8(0), truth))
        smooth.append(smoothing(raw[-1], dataset.image(index)))
        wrong_raw.append((raw[-1] != truth).mean())
        wrong_smooth.append((smooth[-1] != truth).mean())
    assert flicker(smooth) < 0.7 * flicker(raw)
    assert np.mean(wrong_smooth[1:]) < np.mean(wrong_raw[1:])
