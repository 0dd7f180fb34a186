"""runtime.bench.measure: a closed loop after a warm-up."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

import runtime.bench.measure
from fcn_edge.datasets.synthetic import STREET_LABELS
from runtime.bench.measure import BenchConfig, bench
from runtime.segmenter import Segmenter
from runtime.session import FakeSession

SIZE_HW = (4, 6)


def figures_of(config: BenchConfig, frame_hw: tuple[int, int] = SIZE_HW) -> tuple[dict, int]:
    """What bench tells, and how many frames the session was given."""
    passes: list[int] = []
    session = FakeSession(lambda frame: passes.append(1) or frame[..., 0], STREET_LABELS, SIZE_HW)
    return bench(Segmenter(session), np.zeros((*frame_hw, 3), np.uint8), config), len(passes)


@pytest.mark.parametrize("frames", [1, 7, 50])
def test_every_stage_has_as_many_samples_as_frames_asked(frames: int) -> None:
    figures, _ = figures_of(BenchConfig(0, 0, frames))
    assert {stage: row["n"] for stage, row in figures["stages_ms"].items()} == dict.fromkeys(
        ("resize", "infer", "restore", "total"), frames
    )


def test_warm_up_comes_on_top_and_is_not_measured() -> None:
    figures, passes = figures_of(BenchConfig(warmup_frames=3, warmup_s=0, frames=5))
    assert (passes, figures["stages_ms"]["infer"]["n"]) == (8, 5)


def test_warm_up_lasts_until_its_time_is_over_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.bench.measure, "perf_counter", itertools.count().__next__)  # a second a look
    _, passes = figures_of(BenchConfig(warmup_frames=1, warmup_s=5, frames=1))
    assert passes == 5 + 1


def test_total_is_the_sum_of_the_stages() -> None:
    rows = figures_of(BenchConfig(0, 0, 20))[0]["stages_ms"]
    assert rows["total"]["mean"] == pytest.approx(sum(rows[stage]["mean"] for stage in ("resize", "infer", "restore")))


def test_figures_name_the_conditions_and_are_json() -> None:
    figures = json.loads(json.dumps(figures_of(BenchConfig(0, 0, 2), frame_hw=(8, 9))[0]))
    assert (figures["frame_hw"], figures["model_hw"]) == ([8, 9], [4, 6])
    assert (figures["precision"], figures["device"]) == ("none", "a function")
    assert figures["fps"] > 0


def test_the_parts_of_a_stage_have_rows_of_their_own_and_count_once() -> None:
    session = FakeSession(lambda frame: frame[..., 0], STREET_LABELS, SIZE_HW)
    session.parts_ms = {"h2d": 100.0, "compute": 200.0, "d2h": 300.0}
    rows = bench(Segmenter(session), FRAME, BenchConfig(0, 0, 3))["stages_ms"]
    assert list(rows) == ["resize", "infer", "infer.h2d", "infer.compute", "infer.d2h", "restore", "total"]
    assert (rows["infer.compute"]["n"], rows["infer.compute"]["p50"]) == (3, 200.0)
    assert rows["total"]["mean"] < 100


@pytest.mark.parametrize(("state", "told"), [({}, False), ({"gpu_clock_mhz": 918}, True)])
def test_the_state_of_the_gpu_is_told_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch, state: dict, told: bool
) -> None:
    monkeypatch.setattr(runtime.bench.measure, "gpu_state", lambda: state)
    figures, _ = figures_of(BenchConfig(0, 0, 1))
    assert figures.get("gpu") == (state if told else None)


FRAME = np.zeros((*SIZE_HW, 3), np.uint8)
