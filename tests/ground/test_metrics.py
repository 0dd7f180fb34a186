"""metrics.py: the four scores against sums written out from the paper's formulas."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fcn_edge.metrics import ConfusionMatrix, Scores, class_iou, confusion

Mask = NDArray[np.uint8]
VOIDS = (5, 128, 255)  # all of them are no class id where there are up to five classes


def mask_of(*rows: tuple[int, ...]) -> Mask:
    return np.array(rows, np.uint8)


def scores_of(classes: int, *pairs: tuple[Mask, Mask]) -> Scores:
    total = ConfusionMatrix(tuple(f"c{k}" for k in range(classes)))
    for truth, prediction in pairs:
        total.update(truth, prediction)
    return total.scores()


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def by_the_paper(classes: int, truth: list[int], prediction: list[int]) -> Scores:
    """Long, Shelhamer, Darrell: n_ij pixels of class i predicted as j, t_i = sum_j n_ij; one pixel at a time."""
    ids = range(classes)
    n = {(i, j): 0 for i in ids for j in ids}
    for i, j in zip(truth, prediction, strict=True):
        if i < classes:
            n[i, j] += 1
    t = [sum(n[i, j] for j in ids) for i in ids]
    union = [t[i] + sum(n[j, i] for j in ids) - n[i, i] for i in ids]
    iou = {f"c{i}": n[i, i] / union[i] if union[i] else None for i in ids}
    return Scores(
        pixel_accuracy=sum(n[i, i] for i in ids) / sum(t) if sum(t) else math.nan,
        mean_accuracy=mean([n[i, i] / t[i] for i in ids if t[i]]),
        mean_iou=mean([value for value in iou.values() if value is not None]),
        frequency_weighted_iou=sum(t[i] * n[i, i] / union[i] for i in ids if union[i]) / sum(t) if sum(t) else math.nan,
        per_class_iou=iou,
    )


@st.composite
def pixels(draw: st.DrawFn) -> tuple[int, list[int], list[int]]:
    classes = draw(st.integers(1, 5))
    ids = st.integers(0, classes - 1)
    pairs = draw(st.lists(st.tuples(ids | st.sampled_from(VOIDS), ids), min_size=1, max_size=40))
    return classes, [i for i, _ in pairs], [j for _, j in pairs]


@settings(derandomize=True, deadline=None, max_examples=300)
@given(pixels())
def test_scores_are_those_of_the_formulas(case: tuple[int, list[int], list[int]]) -> None:
    classes, truth, prediction = case
    found = scores_of(classes, (mask_of(tuple(truth)), mask_of(tuple(prediction))))
    expected = by_the_paper(classes, truth, prediction)
    assert found.per_class_iou == pytest.approx(expected.per_class_iou)
    for name in ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), nan_ok=True), name


def test_a_case_worked_out_by_hand() -> None:
    found = scores_of(2, (mask_of((0, 0, 0, 1)), mask_of((0, 0, 1, 1))))
    assert found.pixel_accuracy == 3 / 4
    assert found.mean_accuracy == (2 / 3 + 1 / 1) / 2
    assert found.mean_iou == (2 / 3 + 1 / 2) / 2
    assert found.frequency_weighted_iou == (3 * 2 / 3 + 1 * 1 / 2) / 4


def test_many_pictures_count_as_one_large_picture() -> None:
    rng = np.random.default_rng(0)
    truth, prediction = rng.integers(0, 4, (2, 12, 10), np.uint8)
    halves = [(truth[:5], prediction[:5]), (truth[5:], prediction[5:])]
    assert scores_of(4, *halves) == scores_of(4, (truth, prediction))


def test_void_pixels_leave_no_trace_whatever_is_predicted_there() -> None:
    seen = (mask_of((0, 1)), mask_of((0, 0)))
    with_void = (mask_of((0, 1, 255, 255, 7)), mask_of((0, 0, 1, 255, 2)))
    assert scores_of(3, with_void) == scores_of(3, seen)


def test_a_class_that_never_occurs_has_no_iou_and_leaves_the_means() -> None:
    found = scores_of(3, (mask_of((0, 2)), mask_of((0, 2))))
    assert found.per_class_iou == {"c0": 1.0, "c1": None, "c2": 1.0}
    assert found.mean_iou == found.mean_accuracy == 1.0


def test_a_class_that_is_only_predicted_counts_as_an_iou_of_nought() -> None:
    found = scores_of(2, (mask_of((0, 0)), mask_of((0, 1))))
    assert found.per_class_iou == {"c0": 0.5, "c1": 0.0}
    assert found.mean_iou == 0.25
    assert found.mean_accuracy == 0.5  # over the classes of the truth alone


@pytest.mark.parametrize("truth", [mask_of((255, 255)), np.empty((0, 4), np.uint8)])
def test_means_of_no_labelled_pixel_are_nan(truth: Mask) -> None:
    found = scores_of(2, (truth, np.zeros_like(truth)))
    means = (found.pixel_accuracy, found.mean_accuracy, found.mean_iou, found.frequency_weighted_iou)
    assert all(math.isnan(value) for value in means)
    assert found.per_class_iou == {"c0": None, "c1": None}


@pytest.mark.parametrize("stray", [2, 3, 255])
def test_a_predicted_id_that_is_no_class_is_refused(stray: int) -> None:
    with pytest.raises(ValueError, match=f"class {stray}"):
        scores_of(2, (mask_of((0, 1)), mask_of((0, stray))))


def test_a_refused_picture_is_not_half_counted() -> None:
    total = ConfusionMatrix(("a", "b"))
    with pytest.raises(ValueError):
        total.update(mask_of((0, 1)), mask_of((0, 2)))
    assert not total.counts.any()


def test_masks_of_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        scores_of(2, (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)))


def test_as_many_classes_as_a_mask_can_hold_are_counted_apart() -> None:
    every = np.arange(255, dtype=np.uint8)[None]
    assert set(scores_of(255, (every, every)).per_class_iou.values()) == {1.0}


def test_scores_survive_json() -> None:
    found = scores_of(3, (mask_of((0, 2)), mask_of((0, 0))))
    assert Scores(**json.loads(json.dumps(found.to_json()))) == found


def test_one_pair_is_counted_true_class_first() -> None:
    counts = confusion(mask_of((0, 0, 1, 255)), mask_of((0, 1, 1, 1)), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_ious_of_many_matrices_at_once_are_those_of_each() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (2, 5, 4, 4))
    counts[0, 1, 2, :] = counts[0, 1, :, 2] = 0  # a class that never occurs
    found = class_iou(counts)
    assert found.shape == (2, 5, 4) and np.isnan(found[0, 1, 2]) and np.isnan(found).sum() == 1
    for place in np.ndindex(2, 5):
        for k in range(4):
            n = counts[place]
            union = n[k].sum() + n[:, k].sum() - n[k, k]
            assert found[(*place, k)] == pytest.approx(n[k, k] / union if union else math.nan, nan_ok=True)
