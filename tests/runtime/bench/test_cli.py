"""runtime.bench.cli: `fcn-edge bench` as users type it."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import runtime.bench.cli
from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.bench.result import OPEN, BenchResult
from runtime.session import FakeSession
from tests.conftest import Done, assert_refused, call_fcn_edge, run_fcn_edge

STAGES = ("resize", "infer", "restore", "total")
SHORT = ("--warmup", 0, "--warmup-frames", 1, "--engine", "onnxruntime")


def bench(model: Path, *words: object, **options: Any) -> Done:
    done = run_fcn_edge("bench", model, *SHORT, *words, **options)
    assert done.returncode == 0, done.stderr
    return done


def test_bench_prints_a_row_per_stage_and_a_verdict(tiny_bundle: Path) -> None:
    told = bench(tiny_bundle, "--frames", 5).stdout
    assert all(re.search(rf"{stage}\W+5\W", told) for stage in STAGES)
    assert re.search(r"ms p50, [\d.]+ fps; not stable: too short to tell: 0 of 3 windows", told)
    assert "memory" in told and "AMD" not in told.splitlines()[-1]


def test_unless_told_otherwise_it_measures_until_the_figures_are_stable(tiny_bundle: Path) -> None:
    """Or until the time is over: others use this machine too."""
    result = json.loads(bench(tiny_bundle, "--json", "-", "--seconds", 12).stdout)
    assert result["frames"] >= 200 and len(result["windows_ms"]) >= 3
    ends = [*result["windows_ms"][-3:], result["stages_ms"]["total"]["p50"]]
    assert result["stable"] == (max(ends) <= 1.1 * min(ends))


def test_figures_are_written_to_a_file_that_comes_back(tmp_path: Path, tiny_bundle: Path) -> None:
    path = tmp_path / "new" / "bench.json"
    bench(tiny_bundle, "--frames", 5, "--json", path, "--precision", "fp32")
    result = BenchResult.from_json(json.loads(path.read_text()))
    assert {stage: row["n"] for stage, row in result.stages_ms.items()} == dict.fromkeys(STAGES, 5)
    settings = result.settings
    assert (settings.precision, settings.engine) == ("fp32", "onnxruntime")
    assert (settings.model_hw, settings.frame_hw) == ((64, 96), (64, 96))
    assert result.model.name == "model.fp32.onnx"


def test_nothing_but_json_is_printed_when_asked(tiny_bundle: Path) -> None:
    done = bench(tiny_bundle, "--frames", 3, "--json", "-", "--threads", 1)
    assert json.loads(done.stdout)["device"].endswith("1 threads")


@pytest.mark.parametrize("size", ["1x1", "3x5", "300x40"])
def test_frames_of_any_size_are_taken(tiny_bundle: Path, size: str) -> None:
    done = bench(tiny_bundle, "--frames", 2, "--json", "-", "--frame", size)
    assert json.loads(done.stdout)["settings"]["frame_hw"] == [int(side) for side in size.split("x")]


def test_pictures_are_decoded_and_that_is_counted(tiny_bundle: Path, street_folder: Path) -> None:
    done = bench(tiny_bundle, "--frames", 6, "--json", "-", "--pictures", street_folder / "images" / "val")
    rows = json.loads(done.stdout)["stages_ms"]
    assert {stage: row["n"] for stage, row in rows.items()} == dict.fromkeys(("decode", *STAGES), 6)


def test_by_the_clock_every_frame_that_is_due_is_counted(tiny_bundle: Path) -> None:
    done = bench(tiny_bundle, "--rate", 40, "--frames", 40, "--json", "-")
    result = json.loads(done.stdout)
    assert (result["mode"], result["rate"], result["frames"]) == (OPEN, 40, 40)
    assert result["stages_ms"]["total"]["n"] == 40
    assert result["stages_ms"]["wait"]["n"] == 40 - result["dropped"]


def test_a_rate_that_nothing_could_hold_drops_frames_and_says_so(tiny_bundle: Path) -> None:
    told = bench(tiny_bundle, "--rate", 20000, "--frames", 3000).stdout
    match = re.search(r"of 3000 frames (\d+) made way for newer ones, (\d+) had no mask", told)
    assert match and int(match[1]) > 1000 and int(match[2]) > 1000


def test_a_cold_start_is_told_in_its_parts(tiny_bundle: Path, tmp_path: Path) -> None:
    told = bench(tiny_bundle, "--frames", 2, "--cold-start", "--json", tmp_path / "bench.json").stdout
    assert "cold start to the first mask" in told and "median of 3" in told
    start = json.loads((tmp_path / "bench.json").read_text())["cold_start"]
    parts = [start[name] for name in ("import_s", "open_s", "first_mask_s")]
    assert start["total_s"] == pytest.approx(sum(parts)) and min(parts) > 0


def test_a_plot_is_a_picture_or_a_page_with_the_same_words(tiny_bundle: Path, tmp_path: Path) -> None:
    bench(tiny_bundle, "--frames", 20, "--plot", tmp_path / "bench.png")
    picture = cv2.imread(str(tmp_path / "bench.png"))
    assert picture is not None and picture.shape[0] > 1000 and (picture < 128).any()
    told = bench(tiny_bundle, "--frames", 20, "--plot", tmp_path / "bench.html")
    page = (tmp_path / "bench.html").read_text()
    assert page.count("<svg") == 3 and "20 frames" not in page
    assert re.findall(r"[\d.]+ ms p50", page) == re.findall(r"[\d.]+ ms p50", told.stdout)


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (["--frames", "0"], 2),
        (["--frame", "0x9"], 2),
        (["--frame", "nine"], 2),
        (["--warmup", "-1"], 2),
        (["--rate", "0"], 2),
        (["--rate", "nan"], 2),
        (["--seconds", "0"], 2),
        (["--plot", "out.jpg"], 2),
        (["--pictures", "photos", "--frame", "8x8"], 2),
        (["--plot", "/dev/null/out.html"], 5),
        (["--json", "/dev/null/bench.json"], 5),
    ],
)
def test_a_wrong_bench_is_refused_in_one_line_before_the_work(tiny_bundle: Path, flags: list[str], code: int) -> None:
    done = run_fcn_edge("bench", tiny_bundle, *flags)
    assert_refused(done, code, flags[0] if code == 2 else flags[1].rpartition("/")[0])
    assert done.stdout == ""


def test_ctrl_c_ends_it_in_order_with_what_was_measured_and_no_file(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the signal at the twentieth frame."""
    path, passes = tmp_path / "bench.json", count(1)

    def infer(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if next(passes) == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return frame[..., 0] * np.uint8(0)

    session = FakeSession(infer, STREET_LABELS, (64, 96))
    session.facts = replace(session.facts, precision="fp32")
    monkeypatch.setattr(runtime.bench.cli, "open_session", lambda *words, **serving: session)
    done = call_fcn_edge("bench", tiny_bundle, *SHORT, "--frames", 100_000_000, "--json", path)
    assert_refused(done, 130, "interrupted")
    assert re.search(r"total\W+19\W", done.stdout) and "ms p50" in done.stdout
    assert not path.exists()
