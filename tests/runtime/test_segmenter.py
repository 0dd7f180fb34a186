"""runtime.segmenter: frames of any size, masks of the same size."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import runtime.segmenter
from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.segmenter import Segmenter
from runtime.session import FakeSession, open_session

SIZE_HW = (64, 96)


def bright(frame: np.ndarray) -> np.ndarray:
    assert frame.shape == (*SIZE_HW, 3)
    return (frame[..., 0] > 128).astype(np.uint8)


@pytest.mark.parametrize("size_hw", [(64, 96), (1, 1), (2, 300), (300, 2), (63, 97), (200, 300), (1, 40_000)], ids=str)
def test_a_mask_has_the_size_of_its_frame(size_hw: tuple[int, int]) -> None:
    mask = Segmenter(FakeSession(bright, STREET_LABELS, SIZE_HW)).segment(np.full((*size_hw, 3), 200, np.uint8))
    assert (mask.shape, mask.dtype) == (size_hw, np.uint8)
    assert mask.all()


def test_a_real_model_takes_a_frame_of_another_size(tiny_bundle: Path) -> None:
    with open_session(tiny_bundle) as session:
        mask = Segmenter(session).segment(draw_street(1, size_hw=(131, 77))[0])
    assert mask.shape == (131, 77) and mask.max() < len(STREET_LABELS)


def test_a_frame_of_the_models_size_is_not_resampled() -> None:
    given: list[np.ndarray] = []
    mask = np.zeros(SIZE_HW, np.uint8)
    session = FakeSession(lambda frame: given.append(frame) or mask, STREET_LABELS, SIZE_HW)
    frame = np.zeros((*SIZE_HW, 3), np.uint8)
    assert Segmenter(session).segment(frame) is mask
    assert given[0] is frame


def test_masks_come_back_pixel_for_pixel_at_twice_the_size() -> None:
    small = np.random.default_rng(0).integers(0, 11, SIZE_HW, np.uint8)
    mask = Segmenter(FakeSession(lambda frame: small, STREET_LABELS, SIZE_HW)).segment(
        np.zeros((128, 192, 3), np.uint8)
    )
    assert np.array_equal(mask, np.kron(small, np.ones((2, 2), np.uint8)))


def test_only_classes_of_the_model_come_back_from_any_resampling() -> None:
    small = np.random.default_rng(0).choice(np.array([0, 7, 255], np.uint8), SIZE_HW)
    mask = Segmenter(FakeSession(lambda frame: small, STREET_LABELS, SIZE_HW)).segment(np.zeros((101, 53, 3), np.uint8))
    assert set(np.unique(mask)) == {0, 7, 255}


def test_every_step_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.accumulate((1, 2, 3), initial=0)  # seconds
    monkeypatch.setattr(runtime.segmenter, "perf_counter", lambda: next(clock))
    times = Segmenter(FakeSession(bright, STREET_LABELS, SIZE_HW))(np.zeros((20, 30, 3), np.uint8)).times_ms
    assert times == {"resize": 1000, "infer": 2000, "restore": 3000}
