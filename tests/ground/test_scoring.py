"""scoring.py: anything that makes masks of frames is scored against a dataset, alone and side by side."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.errors import SourceError
from fcn_edge.evaluation import evaluate
from fcn_edge.metrics import confusion, scores_of
from fcn_edge.scoring import BAND, Answers, Segment, answer, boundary_band, compare

Image = NDArray[np.uint8]


def knows_the_answers(dataset: Dataset) -> Segment:
    """A segmenter that looks the frame up in the dataset; where the truth is void it says class 0."""
    answers = {dataset.image(k).tobytes(): dataset.mask(k) for k in range(len(dataset))}

    def segment(frame: Image) -> Image:
        mask = answers[frame.tobytes()].copy()
        mask[mask == 255] = 0
        return mask

    return segment


def sees_sky(frame: Image) -> Image:
    return np.zeros(frame.shape[:2], np.uint8)


@pytest.fixture(scope="module")
def streets(street_folder: Path) -> Dataset:
    return open_dataset(f"folder:{street_folder}", "val")


@pytest.fixture(scope="module")
def right(streets: Dataset) -> Answers:
    return answer(knows_the_answers(streets), streets, "asking")


@pytest.fixture(scope="module")
def sky(streets: Dataset) -> Answers:
    return answer(sees_sky, streets, "asking")


@pytest.fixture(scope="module")
def unlabelled(street_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = Path(shutil.copytree(street_folder, tmp_path_factory.mktemp("unlabelled") / "streets"))
    shutil.rmtree(folder / "masks")
    return open_dataset(f"folder:{folder}", "val")


# -- one artifact -------------------------------------------------------------------------------------------------


def test_a_mask_that_has_not_the_size_of_its_picture_is_named(tmp_path: Path) -> None:
    for kind, content in (("images", np.zeros((8, 10, 3), np.uint8)), ("masks", np.zeros((4, 5), np.uint8))):
        (tmp_path / kind / "val").mkdir(parents=True)
        assert cv2.imwrite(str(tmp_path / kind / "val" / "odd.png"), content)
    (tmp_path / "labels.json").write_text('{"classes": [{"id": 0, "name": "sky", "rgb": [1, 2, 3]}]}')
    with pytest.raises(SourceError, match=r"odd\.png"):
        answer(sees_sky, open_dataset(f"folder:{tmp_path}", "val"), "asking")


def test_answers_hold_every_mask_and_its_counts(streets: Dataset, right: Answers) -> None:
    segment = knows_the_answers(streets)
    assert right.names == streets.labels.names and right.indices == (0, 1, 2, 3)
    assert right.confusions is not None and right.confusions.shape == (4, 11, 11)
    for index in range(4):
        assert np.array_equal(right.mask(index), segment(streets.image(index)))
        truth = streets.mask(index)
        assert np.array_equal(right.confusions[index], confusion(truth, right.mask(index), 11))


def test_answers_score_as_their_artifact_does_alone(streets: Dataset, sky: Answers) -> None:
    assert sky.scores() == evaluate(sees_sky, streets, "scoring").scores()


def test_some_pictures_are_asked_by_their_numbers(streets: Dataset, right: Answers) -> None:
    some = answer(knows_the_answers(streets), streets, "asking", [3, 1])
    part = right.part([3, 1])
    for found in (some, part):
        assert found.indices == (3, 1) and found.confusions is not None and right.confusions is not None
        assert np.array_equal(found.mask(0), right.mask(3)) and np.array_equal(found.mask(1), right.mask(1))
        assert np.array_equal(found.confusions, right.confusions[[3, 1]])


def test_a_part_of_a_part_is_named_by_the_datasets_numbers(right: Answers) -> None:
    assert np.array_equal(right.part([2, 0]).part([0]).mask(0), right.mask(0))


def test_pictures_without_labels_have_masks_but_no_scores(unlabelled: Dataset) -> None:
    found = answer(sees_sky, unlabelled, "asking")
    assert found.confusions is None and found.scores() is None and found.part([2]).confusions is None
    assert not found.mask(2).any()


def test_labels_that_are_void_everywhere_compare_as_none(street_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(street_folder, tmp_path / "streets"))
    for path in (folder / "masks" / "val").iterdir():
        assert cv2.imwrite(str(path), np.full((64, 96), 255, np.uint8))
    found = answer(sees_sky, open_dataset(f"folder:{folder}", "val"), "asking")
    compared = compare(found, found)
    assert (compared.drop, compared.drop_interval, compared.per_class_drop) == (None, None, {})


# -- two artifacts ------------------------------------------------------------------------------------------------


def test_agreement_is_the_share_of_pixels_that_the_reference_says_too(
    streets: Dataset, right: Answers, sky: Answers
) -> None:
    found = compare(sky, right)
    each = [np.mean(right.mask(k) == 0) for k in range(len(streets))]
    assert found.agreement == pytest.approx(np.mean(each)) and found.per_picture == pytest.approx(each)
    assert compare(right, right).agreement == compare(right, right).boundary_agreement == 1.0


def test_agreement_at_borders_is_counted_within_their_band_alone(right: Answers, sky: Answers) -> None:
    bands = [boundary_band(right.mask(k)) for k in range(4)]
    agreeing = sum(np.count_nonzero(band & (right.mask(k) == 0)) for k, band in enumerate(bands))
    assert compare(sky, right).boundary_agreement == pytest.approx(agreeing / sum(map(np.count_nonzero, bands)))


def test_the_drop_is_the_references_mean_iou_less_the_artifacts_for_all_and_each_class(
    right: Answers, sky: Answers
) -> None:
    found, alone, reference = compare(sky, right), sky.scores(), right.scores()
    assert alone is not None and reference is not None and found.drop is not None
    assert found.drop == pytest.approx(1 - alone.mean_iou) and compare(right, sky).drop == pytest.approx(-found.drop)
    for name, drop in found.per_class_drop.items():
        lost, kept = reference.per_class_iou[name], alone.per_class_iou[name]
        assert drop == (None if lost is None or kept is None else pytest.approx(lost - kept))
    assert list(found.per_class_drop) == list(right.names)


def test_a_comparison_in_json_has_its_scores_and_its_differences(right: Answers, sky: Answers) -> None:
    content = compare(sky, right).to_json()
    assert {"mean_iou", "per_class_iou", "pixel_accuracy", "agreement", "boundary_agreement"} < set(content)
    assert content["mean_iou_drop"] > 0 and len(content["mean_iou_drop_interval"]) == 2
    assert "per_picture" not in content


def test_without_labels_only_masks_are_compared(unlabelled: Dataset) -> None:
    found = compare(answer(sees_sky, unlabelled, "asking"), answer(lambda frame: sees_sky(frame) + 1, unlabelled, "a"))
    assert (found.scores, found.drop, found.drop_interval, found.per_class_drop) == (None, None, None, {})
    assert found.agreement == 0.0
    assert "mean_iou" not in found.to_json() and found.to_json()["mean_iou_drop"] is None


# -- the interval -------------------------------------------------------------------------------------------------


def answers_of(confusions: NDArray[np.int64]) -> Answers:
    """Counts alone; all masks are the same."""
    mask = cv2.imencode(".png", np.zeros((2, 2), np.uint8))[1]
    names = tuple(f"c{number}" for number in range(confusions.shape[1]))
    return Answers(names, tuple(range(len(confusions))), (mask,) * len(confusions), confusions)


def random_counts(seed: int, pictures: int, classes: int = 3) -> NDArray[np.int64]:
    """Mostly right."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 20, (pictures, classes, classes)) + 100 * np.eye(classes, dtype=np.int64)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 30))
def test_identical_artifacts_differ_by_exactly_nothing(seed: int, pictures: int) -> None:
    """The bootstrap is paired: both are counted on the same pictures each time."""
    found = compare(answers_of(random_counts(seed, pictures)), answers_of(random_counts(seed, pictures)))
    assert found.drop == 0 and found.drop_interval == (0, 0)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_the_interval_holds_the_drop(seed: int, pictures: int) -> None:
    found = compare(answers_of(random_counts(seed + 1, pictures)), answers_of(random_counts(seed, pictures)))
    assert found.drop is not None and found.drop_interval is not None
    lower, upper = found.drop_interval
    assert lower <= found.drop <= upper and lower < upper


def test_the_interval_is_that_of_a_bootstrap_written_out() -> None:
    reference, answers = random_counts(0, 12), random_counts(1, 12)
    rng, drops = np.random.default_rng(7), []
    for _ in range(3000):
        drawn = rng.integers(0, 12, 12)
        means = [scores_of(counts[drawn].sum(0), ("a", "b", "c")).mean_iou for counts in (reference, answers)]
        drops.append(means[0] - means[1])
    found = compare(answers_of(answers), answers_of(reference)).drop_interval
    width = float(np.std(drops))
    assert found == pytest.approx(np.percentile(drops, (2.5, 97.5)), abs=0.2 * width)


def test_the_interval_narrows_with_more_pictures_and_is_the_same_each_time() -> None:
    def interval(pictures: int) -> tuple[float, float]:
        found = compare(answers_of(random_counts(1, pictures)), answers_of(random_counts(2, pictures))).drop_interval
        assert found is not None
        return found

    assert interval(400)[1] - interval(400)[0] < 0.5 * (interval(20)[1] - interval(20)[0])
    assert interval(20) == interval(20)


def test_the_interval_of_one_picture_is_a_point() -> None:
    found = compare(answers_of(random_counts(1, 1)), answers_of(random_counts(2, 1)))
    assert found.drop_interval == pytest.approx((found.drop, found.drop))


def test_a_class_that_few_pictures_hold_takes_no_part_where_it_is_not_drawn() -> None:
    reference, answers = random_counts(0, 6), random_counts(1, 6)
    for counts in (reference, answers):
        counts[1:, 2, :] = counts[1:, :, 2] = 0  # class 2 is on the first picture alone
    found = compare(answers_of(answers), answers_of(reference)).drop_interval
    assert found is not None and np.isfinite(found).all()


# -- borders ------------------------------------------------------------------------------------------------------


def band_by_hand(mask: Image) -> NDArray[np.bool_]:
    """Pixel by pixel: whether another class lies within BAND rows and columns."""
    height, width = mask.shape
    band = np.zeros(mask.shape, bool)
    for row in range(height):
        for column in range(width):
            near = mask[max(0, row - BAND) : row + BAND + 1, max(0, column - BAND) : column + BAND + 1]
            band[row, column] = bool((near != mask[row, column]).any())
    return band


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 30), st.integers(2, 12))
def test_the_band_is_what_lies_within_three_pixels_of_another_class(
    seed: int, height: int, width: int, tile: int
) -> None:
    rng = np.random.default_rng(seed)
    tiles = rng.integers(0, 3, (height // tile + 1, width // tile + 1), np.uint8) * 100
    mask = np.ascontiguousarray(np.kron(tiles, np.ones((tile, tile), np.uint8))[:height, :width])
    assert np.array_equal(boundary_band(mask), band_by_hand(mask))


def test_a_mask_of_one_class_has_no_band_and_agrees_there(streets: Dataset, sky: Answers) -> None:
    assert not boundary_band(np.full((9, 9), 4, np.uint8)).any()
    assert compare(sky, sky).boundary_agreement == 1.0
