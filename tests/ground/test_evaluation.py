"""evaluation.py: one pass over labelled pictures gives the scores, those at borders, and the best and worst frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.errors import SourceError
from fcn_edge.evaluation import KEPT, Evaluation, evaluate
from fcn_edge.files import json_text
from fcn_edge.labels import VOID, LabelSet
from fcn_edge.metrics import confusion
from fcn_edge.scoring import BAND, boundary_band

Mask = NDArray[np.uint8]


LABELS = LabelSet(("sky", "road", "unicorn"), ((0, 0, 255), (90, 90, 90), (255, 0, 255)))


@dataclass
class Halves:
    """Pictures of road below sky; picture k is its own number in every pixel."""

    truths: list[Mask]
    labels: LabelSet = LABELS
    has_masks: bool = True

    def __len__(self) -> int:
        return len(self.truths)

    def name(self, index: int) -> str:
        return f"{index}.png"

    def image(self, index: int) -> Mask:
        return np.full((*self.truths[index].shape, 3), index, np.uint8)

    def mask(self, index: int) -> Mask:
        return self.truths[index]

    def digest(self) -> str:
        return ""


def halves(horizon: int = 20) -> Mask:
    truth = np.zeros((40, 30), np.uint8)
    truth[horizon:] = 1
    return truth


def guess(horizons: list[int]) -> object:
    """A segmenter whose horizon of picture k is the k-th."""
    return lambda frame: halves(horizons[int(frame[0, 0, 0])])


def evaluated(horizons: list[int], truths: list[Mask] | None = None) -> Evaluation:
    dataset = Halves(truths or [halves() for _ in horizons])
    return evaluate(guess(horizons), dataset, "evaluating")


def sees_sky(frame: Mask) -> Mask:
    return np.zeros(frame.shape[:2], np.uint8)


@pytest.fixture(scope="module")
def streets(street_folder: Path) -> Dataset:
    return open_dataset(f"folder:{street_folder}", "val")


def test_scores_are_those_of_all_pixels_together(streets: Dataset) -> None:
    truth = np.stack([streets.mask(k) for k in range(len(streets))])
    found = evaluate(sees_sky, streets, "evaluating")
    assert np.array_equal(found.counts, confusion(truth, np.zeros_like(truth), 11))
    assert found.scores().pixel_accuracy == pytest.approx(np.count_nonzero(truth == 0) / np.count_nonzero(truth != 255))


def test_the_truth_itself_scores_a_hundred_percent_everywhere() -> None:
    found = evaluated([20, 20])
    assert found.scores().mean_iou == found.border_scores().mean_iou == 1.0 and found.per_picture == (1.0, 1.0)
    assert found.scores().per_class_iou["unicorn"] is None


def test_at_borders_only_the_pixels_near_another_class_of_the_truth_are_scored(streets: Dataset) -> None:
    found = evaluate(sees_sky, streets, "evaluating")
    wanted = np.zeros((11, 11), np.int64)
    for index in range(len(streets)):
        truth = streets.mask(index)
        band = boundary_band(truth)
        wanted += confusion(truth[band], np.zeros(np.count_nonzero(band), np.uint8), 11)
    assert np.array_equal(found.border_counts, wanted)


def test_an_error_far_from_a_border_costs_nothing_there_and_a_shifted_border_costs_more() -> None:
    shifted = evaluated([22])
    assert shifted.border_counts.sum() == 2 * BAND * 30  # rows on either side
    assert shifted.border_scores().mean_iou == pytest.approx((3 / 5 + 1 / 3) / 2)
    assert shifted.scores().mean_iou > 0.85

    def spoilt(frame: Mask) -> Mask:
        mask = halves()
        mask[0] = 1
        return mask

    assert evaluate(spoilt, Halves([halves()]), "evaluating").border_scores().mean_iou == 1.0


def test_void_makes_a_border_but_is_never_scored() -> None:
    truth = np.zeros((40, 30), np.uint8)
    truth[20] = VOID
    found = evaluate(lambda frame: np.ones((40, 30), np.uint8), Halves([truth]), "evaluating")
    assert found.border_counts.sum() == found.border_counts[0, 1] == 2 * BAND * 30
    assert found.counts.sum() == 39 * 30


def test_the_best_and_the_worst_are_kept_with_their_masks_in_order() -> None:
    horizons = [20 + offset for offset in (7, 0, 3, 19, 1, 9, 12, 2, 5, 15)]
    found = evaluated(horizons)
    assert found.best == (1, 4, 7, 2) and found.worst == (3, 9, 6, 5) and len(found.best) == KEPT
    assert sorted(found.answers) == sorted(found.best + found.worst)
    for index in found.best + found.worst:
        assert np.array_equal(found.mask(index), halves(horizons[index]))
    assert list(np.argsort(found.per_picture)[::-1][:KEPT]) == list(found.best)


@pytest.mark.parametrize(("count", "best", "worst"), [(1, (0,), ()), (2, (0,), (1,)), (3, (0, 1), (2,))])
def test_no_frame_is_among_the_best_and_the_worst(count: int, best: tuple[int, ...], worst: tuple[int, ...]) -> None:
    found = evaluated([20 + index for index in range(count)])
    assert (found.best, found.worst) == (best, worst)


def test_pictures_of_nothing_but_void_have_no_score_and_no_rank() -> None:
    void = np.full((40, 30), VOID, np.uint8)
    found = evaluated([20, 25], [void, halves()])
    assert np.isnan(found.per_picture[0]) and found.best + found.worst == (1,)
    nothing = evaluated([20], [void])
    assert nothing.best == nothing.worst == () and np.isnan(nothing.scores().mean_iou)


def test_what_it_tells_programs_is_json() -> None:
    content = json.loads(json_text(evaluated([20, 25], [np.full((40, 30), VOID, np.uint8), halves()]).to_json()))
    assert content["mean_iou"] == content["mean_iou_of_pictures"][1] and content["mean_iou_of_pictures"][0] is None
    assert content["border"]["pixels"] == BAND and content["border"]["mean_iou"] < content["mean_iou"]
    assert content["per_class_iou"]["unicorn"] is None and np.array(content["confusion"]).shape == (3, 3)


def test_a_mask_that_has_not_the_size_of_its_picture_is_named(tmp_path: Path) -> None:
    for kind, content in (("images", np.zeros((8, 10, 3), np.uint8)), ("masks", np.zeros((4, 5), np.uint8))):
        (tmp_path / kind / "val").mkdir(parents=True)
        assert cv2.imwrite(str(tmp_path / kind / "val" / "odd.png"), content)
    (tmp_path / "labels.json").write_text('{"classes": [{"id": 0, "name": "sky", "rgb": [1, 2, 3]}]}')
    with pytest.raises(SourceError, match=r"odd\.png"):
        evaluate(sees_sky, open_dataset(f"folder:{tmp_path}", "val"), "evaluating")
