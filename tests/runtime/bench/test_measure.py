"""runtime.bench.measure: a whole bench, with models that take the time they are told to."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fcn_edge.files import json_text, sha256_of
from runtime.bench import measure
from runtime.bench.measure import Bench, BenchConfig, bench, measured
from runtime.bench.result import CLOSED, OPEN, BenchResult
from runtime.session import open_session
from tests.runtime.bench.slow_models import SHOTS, SIZE_HW, segmenter_of
from tests.runtime.jetson_samples import ORIN, write_files

AT_ONCE = BenchConfig(warmup_frames=0, warmup_s=0)
Passing = Callable[..., Bench]


@pytest.fixture
def passing(tmp_path: Path) -> Passing:
    """A bench of a model that takes `seconds`, by default none, for each frame."""

    def passed(
        config: BenchConfig = AT_ONCE,
        seconds: Callable[[int], float] = lambda number: 0.0,
        parts_ms: Mapping[str, float] | None = None,
        **others: Any,
    ) -> Bench:
        model = tmp_path / "model.onnx"
        model.write_bytes(b"graph")
        segmenter = segmenter_of(seconds)
        segmenter.session.parts_ms = parts_ms or {}
        return bench(segmenter, SHOTS, model, config, **others)

    return passed


@pytest.mark.parametrize("frames", [1, 7, 50])
def test_every_stage_has_as_many_samples_as_frames_asked(frames: int, passing: Passing) -> None:
    rows = passing(replace(AT_ONCE, frames=frames)).result.stages_ms
    assert {stage: row["n"] for stage, row in rows.items()} == dict.fromkeys(
        ("resize", "infer", "restore", "total"), frames
    )


def test_warm_up_comes_on_top_and_is_not_measured(passing: Passing) -> None:
    passes: list[int] = []
    config = BenchConfig(warmup_frames=3, warmup_s=0, frames=5)
    result = passing(config, seconds=lambda number: passes.append(number) or 0.0).result
    assert (len(passes), result.stages_ms["infer"]["n"]) == (8, 5)


def test_total_is_the_sum_of_the_stages(passing: Passing) -> None:
    rows = passing(replace(AT_ONCE, frames=20)).result.stages_ms
    assert rows["total"]["mean"] == pytest.approx(sum(rows[stage]["mean"] for stage in ("resize", "infer", "restore")))


def test_the_parts_of_a_stage_have_rows_of_their_own_and_count_once(passing: Passing) -> None:
    parts = {"h2d": 100.0, "compute": 200.0, "d2h": 300.0}
    rows = passing(replace(AT_ONCE, frames=3), parts_ms=parts).result.stages_ms
    assert list(rows) == [
        *("resize", "infer", "infer.h2d", "infer.compute", "infer.d2h", "infer.gpu"),
        *("restore", "total"),
    ]
    assert (rows["infer.compute"]["n"], rows["infer.compute"]["p50"], rows["infer.gpu"]["p50"]) == (3, 200.0, 600.0)
    assert rows["total"]["mean"] < 100


def test_a_result_names_the_conditions_and_comes_back_from_json(passing: Passing, tmp_path: Path) -> None:
    result = passing(replace(AT_ONCE, frames=2), threads=2).result
    assert BenchResult.from_json(json.loads(json_text(result.to_json()))) == replace(
        result, stages_ms=json.loads(json_text(result.stages_ms))
    )
    assert (result.mode, result.rate, result.settings.threads, result.settings.model_hw) == (CLOSED, None, 2, SIZE_HW)
    assert (result.model.name, result.model.bytes) == ("model.onnx", 5)
    assert result.model.sha256 == sha256_of(tmp_path / "model.onnx")
    assert result.fps > 0 and result.machine["processor"] and result.date[:2] == "20"


def test_a_real_pause_of_a_second_shows_in_the_open_loops_p99_with_every_frame_that_it_met(passing: Passing) -> None:
    """At 20 fps for ten seconds, beside the closed loop with the same pause."""

    def pauses(number: int) -> float:
        return 1.0 if number == 100 else 0.002

    by_the_clock = passing(replace(AT_ONCE, rate=20.0, frames=200), seconds=pauses)
    closed = passing(replace(AT_ONCE, frames=200), seconds=pauses)
    assert by_the_clock.result.stages_ms["total"]["p99"] > 500 > 5 * closed.result.stages_ms["total"]["p99"]
    assert 18 <= by_the_clock.result.late <= 40
    assert 17 <= by_the_clock.result.dropped <= 40
    assert by_the_clock.result.stages_ms["infer"]["n"] == 200 - by_the_clock.result.dropped
    assert (by_the_clock.result.mode, by_the_clock.result.frames) == (OPEN, 200)
    assert sum(latency > 400 for latency in closed.samples.totals_ms) == 1


def test_measuring_ends_when_the_figures_are_stable_and_there_are_enough(
    passing: Passing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "FEWEST_FRAMES", 40)
    config = replace(AT_ONCE, window_s=0.05, most_s=20.0)
    result = passing(config, seconds=lambda number: 0.01 if number < 30 else 0.02).result
    assert result.stable and "agree" in result.stability
    assert result.frames >= 40 and len(result.windows_ms) >= 3


def test_figures_that_never_agree_are_said_to_be_unstable_when_the_time_is_over(passing: Passing) -> None:
    """Each window is slower than the last by more than a tenth."""
    config = replace(AT_ONCE, window_s=0.05, most_s=1.5)
    result = passing(config, seconds=lambda number: 0.002 * 1.02**number).result
    assert not result.stable and "the medians of the last 3" in result.stability
    assert result.stages_ms["total"]["n"] == result.frames > 30


def test_the_open_loop_lasts_as_long_as_it_may_when_it_is_not_stable(passing: Passing) -> None:
    config = replace(AT_ONCE, rate=50.0, most_s=0.5)
    assert passing(config).result.frames == 25


def test_the_users_wish_ends_it_with_what_there_is(passing: Passing) -> None:
    passes: list[int] = []
    config = BenchConfig(warmup_frames=10, warmup_s=0, most_s=60.0)
    result = passing(
        config, seconds=lambda number: passes.append(number) or 0.0, is_wished=lambda: len(passes) >= 4
    ).result
    assert (len(passes), result.frames, result.stable) == (5, 1, False)


def test_a_jetsons_power_becomes_energy_per_frame_and_its_state_stands_beside(
    passing: Passing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "REST_S", 0.1)
    root = write_files(tmp_path / "root", ORIN)
    config = replace(AT_ONCE, frames=40)
    result = passing(config, seconds=lambda number: 0.01, root=root).result
    (energy,) = result.energy
    assert (energy.source, energy.watts, energy.idle_watts) == ("VDD_IN", pytest.approx(5.609), pytest.approx(5.609))
    assert energy.joules_per_frame == pytest.approx(5.609 / result.fps, rel=0.01)
    assert result.state["during"]["power_mode"] == "25W"
    assert result.state["during"]["clocks"]["gpu"] == {"least_mhz": 306, "most_mhz": 306, "max_mhz": 918}
    assert result.state["during"]["temperatures_c"] == {"cpu-thermal": 48.3, "gpu-thermal": 47.8}
    assert result.state["before"]["rails_w"] == result.state["after"]["rails_w"]
    assert "slowed" not in result.state["during"]


def test_where_nothing_tells_power_there_is_no_energy(passing: Passing, tmp_path: Path) -> None:
    result = passing(replace(AT_ONCE, frames=3), root=tmp_path / "nothing").result
    assert result.energy == () and result.memory.process_bytes is None and result.memory.serving_bytes is None


def test_the_memory_is_this_processes(passing: Passing) -> None:
    memory = passing(replace(AT_ONCE, frames=3)).result.memory
    assert memory.process_bytes is not None and memory.process_bytes > 10_000_000
    assert memory.serving_bytes is None or memory.serving_bytes <= memory.process_bytes


def test_samples_are_those_of_a_real_model(tiny_bundle: Path) -> None:
    from runtime.segmenter import Segmenter

    with open_session(tiny_bundle, "onnxruntime", "fp32") as session:
        samples = measured(Segmenter(session), SHOTS, replace(AT_ONCE, frames=5))
    assert all(len(values) == 5 for values in samples.stages_ms.values())
    assert all(value > 0 for value in samples.stages_ms["infer"])
