"""runtime.bench.shots: frames without an end."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fcn_edge.errors import SourceError
from runtime.bench.loops import closed_loop
from runtime.bench.shots import one_frame, pictures
from tests.runtime.bench.slow_models import segmenter_of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, grey in 10, 20, 30; of other sizes."""
    for number in (1, 2, 3):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8 * number, 12, 3), 10 * number, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folders_pictures_come_by_their_names_and_from_the_start_again(folder: Path) -> None:
    shots = pictures(folder)
    assert [int(shots().image[0, 0, 0]) for _ in range(7)] == [10, 20, 30, 10, 20, 30, 10]


def test_each_is_decoded_anew_and_that_is_a_stage_before_the_models(folder: Path) -> None:
    answer = next(closed_loop(segmenter_of(lambda number: 0.0), pictures(folder / "2.png")))
    assert list(answer.times_ms) == ["decode", "resize", "infer", "restore"]
    assert answer.times_ms["decode"] > 0 and answer.latencies_ms[0] == pytest.approx(sum(answer.times_ms.values()))


def test_one_frame_takes_no_time_to_have() -> None:
    frame = np.zeros((4, 6, 3), np.uint8)
    shots = one_frame(frame)
    assert shots().image is shots().image is frame and not shots().times_ms


@pytest.mark.parametrize("name", ["none", "none.jpg", "empty"])
def test_pictures_that_are_not_there_are_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=name):
        pictures(tmp_path / name)()
