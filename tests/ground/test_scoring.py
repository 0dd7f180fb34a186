"""scoring.py: anything that makes masks of frames is scored against a dataset, alone and side by side."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from fcn_edge.datasets import Dataset, open_dataset
from fcn_edge.errors import SourceError
from fcn_edge.scoring import Segment, compare, score

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


def test_the_truth_itself_scores_a_hundred_percent(streets: Dataset) -> None:
    scores = score(knows_the_answers(streets), streets, "scoring")
    assert scores.pixel_accuracy == scores.mean_accuracy == scores.mean_iou == scores.frequency_weighted_iou == 1.0
    assert set(scores.per_class_iou.values()) <= {1.0, None}


def test_all_sky_is_right_where_there_is_sky(streets: Dataset) -> None:
    truth = np.stack([streets.mask(k) for k in range(len(streets))])
    expected = np.count_nonzero(truth == 0) / np.count_nonzero(truth != 255)
    scores = score(sees_sky, streets, "scoring")
    assert scores.pixel_accuracy == pytest.approx(expected)
    assert scores.per_class_iou["sky"] == pytest.approx(expected)


def test_the_first_artifact_is_the_reference_of_the_agreement(streets: Dataset) -> None:
    right = knows_the_answers(streets)
    found = compare({"right": right, "sky": sees_sky}, streets, "comparing")
    agreeing = [np.mean(right(streets.image(k)) == 0) for k in range(len(streets))]
    assert list(found) == ["right", "sky"]
    assert found["right"].agreement == 1.0
    assert found["sky"].agreement == pytest.approx(np.mean(agreeing))


def test_artifacts_are_scored_together_as_they_are_alone(streets: Dataset) -> None:
    found = compare({"right": knows_the_answers(streets), "sky": sees_sky}, streets, "comparing")
    assert found["sky"].scores == score(sees_sky, streets, "scoring")


def test_a_comparison_is_its_scores_and_its_agreement(streets: Dataset) -> None:
    content = compare({"sky": sees_sky}, streets, "scoring")["sky"].to_json()
    assert content["agreement"] == 1.0
    assert {"mean_iou", "per_class_iou", "pixel_accuracy"} < set(content)


def test_a_mask_that_has_not_the_size_of_its_picture_is_named(tmp_path: Path) -> None:
    for kind, content in (("images", np.zeros((8, 10, 3), np.uint8)), ("masks", np.zeros((4, 5), np.uint8))):
        (tmp_path / kind / "val").mkdir(parents=True)
        assert cv2.imwrite(str(tmp_path / kind / "val" / "odd.png"), content)
    (tmp_path / "labels.json").write_text('{"classes": [{"id": 0, "name": "sky", "rgb": [1, 2, 3]}]}')
    with pytest.raises(SourceError, match=r"odd\.png"):
        score(sees_sky, open_dataset(f"folder:{tmp_path}", "val"), "scoring")
