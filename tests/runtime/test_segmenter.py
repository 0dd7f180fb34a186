"""runtime.segmenter: frames of any size, masks of the same size."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import runtime.latency
from fcn_edge.datasets.street import draw_street
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import ModelError
from fcn_edge.labels import VOID
from runtime.segmenter import Segmenter
from runtime.session import FakeSession, open_session
from runtime.smoothing import Smoothing

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
    clock = itertools.accumulate((1, 0, 2, 0, 3), initial=0)  # seconds
    monkeypatch.setattr(runtime.latency, "perf_counter", lambda: next(clock))
    times = Segmenter(FakeSession(bright, STREET_LABELS, SIZE_HW))(np.zeros((20, 30, 3), np.uint8)).times_ms
    assert times == {"resize": 1000, "infer": 2000, "restore": 3000}


def test_parts_of_the_model_and_smoothing_have_their_places() -> None:
    session = FakeSession(bright, STREET_LABELS, SIZE_HW)
    session.parts_ms = {"h2d": 1.0, "compute": 2.0}
    times = Segmenter(session, Smoothing(2))(np.zeros((20, 30, 3), np.uint8)).times_ms
    assert list(times) == ["resize", "infer", "infer.h2d", "infer.compute", "smooth", "restore"]


def test_masks_are_smoothed_at_the_models_size() -> None:
    masks = iter(np.full(SIZE_HW, number, np.uint8) for number in (3, 4, 4))
    segmenter = Segmenter(FakeSession(lambda frame: next(masks), STREET_LABELS, SIZE_HW), Smoothing(2))
    frame = np.full((128, 192, 3), 90, np.uint8)
    for wanted in (3, 3, 4):
        found = segmenter(frame, "front", 0.0)
        assert (found.model_mask == wanted).all() and found.model_mask.shape == SIZE_HW
        assert (found.mask == wanted).all() and found.mask.shape == (128, 192)


def test_each_source_is_smoothed_by_its_own_past() -> None:
    masks = iter(np.full(SIZE_HW, number, np.uint8) for number in (3, 4, 4, 3))
    segmenter = Segmenter(FakeSession(lambda frame: next(masks), STREET_LABELS, SIZE_HW), Smoothing(2))
    frame = np.full((*SIZE_HW, 3), 90, np.uint8)
    found = [int(segmenter(frame, source).mask[0, 0]) for source in ("left", "right", "left", "right")]
    assert found == [3, 4, 3, 4]


@pytest.mark.parametrize("wrong", [len(STREET_LABELS), 200, 254])
@pytest.mark.parametrize("beside", [0, VOID])
def test_a_class_without_a_name_is_refused(wrong: int, beside: int) -> None:
    mask = np.full(SIZE_HW, beside, np.uint8)
    mask[-1, -1] = wrong
    segmenter = Segmenter(FakeSession(lambda frame: mask, STREET_LABELS, SIZE_HW))
    with pytest.raises(ModelError, match=rf"wanted class ids below 11, or 255 for void, found {wrong}; ") as told:
        segmenter(np.zeros((*SIZE_HW, 3), np.uint8))
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("last", [len(STREET_LABELS) - 1, VOID])
def test_every_class_with_a_name_and_void_are_taken(last: int) -> None:
    mask = np.full(SIZE_HW, last, np.uint8)
    segmenter = Segmenter(FakeSession(lambda frame: mask, STREET_LABELS, SIZE_HW))
    assert (segmenter.segment(np.zeros((*SIZE_HW, 3), np.uint8)) == last).all()


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("precision", ["fp32", "int8-cpu"])
@pytest.mark.parametrize("spoiled", ["every score", "scores of one class"])
def test_scores_that_are_no_numbers_make_a_mask_of_classes(
    tiny_bundle: Path, tmp_path: Path, engine: str, precision: str, value: float, spoiled: str
) -> None:
    spoil(tiny_bundle / f"model.{precision}.onnx", tmp_path / "spoiled.onnx", value, whole=spoiled == "every score")
    with open_session(tmp_path / "spoiled.onnx", engine) as session:
        segmenter = Segmenter(session)
        masks = [segmenter.segment(draw_street(seed, size_hw=(80, 120))[0]) for seed in range(3)]
    assert all(mask.shape == (80, 120) and mask.max() < len(STREET_LABELS) for mask in masks)


def spoil(source: Path, target: Path, value: float, *, whole: bool) -> None:
    """A copy of a graph with `value` as the last weight of every layer, or of those alone that score classes."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(source))
    spoiled = 0
    for constant in model.graph.initializer:
        numbers = numpy_helper.to_array(constant).copy()
        if numbers.dtype == np.float32 and numbers.ndim and (whole or len(numbers) == len(STREET_LABELS)):
            numbers.flat[-1] = value
            constant.CopyFrom(numpy_helper.from_array(numbers, constant.name))
            spoiled += 1
    assert spoiled >= (10 if whole else 3), spoiled
    onnx.save(model, str(target))
