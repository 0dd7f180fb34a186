"""The demo as a new user types it, only with less training: it ends well, names what it made, and made it."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import pytest

from tests.conftest import assert_refused, run_fcn_edge


@pytest.mark.timeout(600)
def test_the_demo_makes_everything_that_it_names(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = run_fcn_edge("demo", "-o", folder, "--minutes", "0.05", timeout=550)
    assert done.returncode == 0, done.stderr
    named = [Path(line.strip()) for line in done.stdout.split("made:")[1].splitlines() if line.strip()]
    assert len(named) == 7 and all(path.exists() for path in named)
    assert "model.int8-cpu.onnx" in done.stdout
    with av.open(str(folder / "overlay.mp4")) as video, av.open(str(folder / "drive.mp4")) as drive:
        frames = [sum(1 for _ in container.decode(video=0)) for container in (video, drive)]
        assert frames == [200, 200] and video.streams.video[0].average_rate == drive.streams.video[0].average_rate
    assert cv2.imread(str(folder / "contact-sheet.png")) is not None
    assert json.loads((folder / "latency.fp32.json").read_text())["stages_ms"]["total"]["n"] >= 200


def test_the_demo_empties_no_folder_but_its_own(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    assert_refused(run_fcn_edge("demo", "-o", tmp_path), 2, "another -o")
    assert_refused(run_fcn_edge("demo", "-o", tmp_path / "mine.txt"), 2, "another -o")
    assert (tmp_path / "mine.txt").read_text() == "precious"
