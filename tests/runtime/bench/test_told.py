"""runtime.bench.told: the lines below the table."""

from __future__ import annotations

import pytest

from runtime.bench.result import OPEN, ColdStart, Energy, Memory
from runtime.bench.told import lines, title, verdict
from runtime.latency import summarise
from tests.runtime.bench.results import RESULT, result

BARE = {"state": {}, "energy": (), "memory": Memory(), "cold_start": None}


def test_the_title_says_what_was_measured_on_what() -> None:
    assert title(RESULT) == (
        "model.int8-cpu.onnx (int8-cpu), frames 360x480, openvino 2026.1, CPU, f32, all cores, AMD EPYC"
    )


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, "2.0 ms p50, 87.0 fps; stable: the last 3 windows agree within 5.0 %"),
        (
            {"stages_ms": {"total": summarise([10.0] * 99 + [70.0])}, "stable": False, "stability": "why"},
            "10.0 ms p50, 10.6 ms p99, 87.0 fps; not stable: why",
        ),
    ],
)
def test_the_verdict_is_one_line(changes: dict[str, object], wanted: str) -> None:
    assert verdict(result(**changes)) == wanted


def test_where_the_machine_tells_nothing_the_verdict_stands_alone() -> None:
    assert lines(result(**BARE)) == [verdict(RESULT)]


@pytest.mark.parametrize(
    ("during", "wanted"),
    [
        ({"others_cores": 0.05}, []),
        ({"others_cores": 1.34}, ["other processes kept 1.3 cores busy"]),
        (
            {
                "clocks": {"gpu": {"least_mhz": 306, "most_mhz": 918, "max_mhz": 918}},
                "temperatures_c": {"cpu-thermal": 60.0, "gpu-thermal": 71.5},
                "power_mode": "25W",
            },
            ["GPU at 306 to 918 of 918 MHz, 72 C at most (gpu-thermal), power mode 25W"],
        ),
        (
            {"clocks": {"cpu": {"least_mhz": 2400, "most_mhz": 2400, "max_mhz": None}}, "throttle": ["sync boost"]},
            ["CPU at 2400 MHz", "held back at times: sync boost"],
        ),
        ({"slowed": "the machine is slowed down: x", "throttle": ["x"]}, ["the machine is slowed down: x"]),
    ],
)
def test_conditions_stand_below_it(during: dict[str, object], wanted: list[str]) -> None:
    assert lines(result(**{**BARE, "state": {"during": during}}))[1:] == wanted


def test_memory_energy_and_cold_start_are_told_where_they_are_known() -> None:
    told = lines(result(**{**BARE, "energy": (Energy("VDD_IN", 9.5, 5.0, 0.11), Energy("GPU", 71.0, None, 1.25))}))
    assert told[1] == "0.11 J a frame (VDD_IN: 9.5 W, 5.0 W at rest), 1.25 J a frame (GPU: 71.0 W)"
    told = lines(result(**{**BARE, "memory": Memory(600 << 20, 200 << 20, 3 << 30)}))
    assert told[1] == "memory 200 MiB at most, 600 MiB to open; GPU memory 3072 MiB at most, of all its processes"
    told = lines(result(**{**BARE, "cold_start": ColdStart(1.25, 0.6, 0.5, 0.15, 3)}))
    assert told[1] == "cold start to the first mask 1.25 s: imports 0.60, open 0.50, mask 0.15 (median of 3)"


def test_by_the_clock_what_was_dropped_and_late_is_told() -> None:
    told = lines(result(**{**BARE, "mode": OPEN, "rate": 25.0, "frames": 250, "dropped": 7, "late": 21}))
    assert told[1] == (
        "by the clock at 25 fps: of 250 frames 7 made way for newer ones, 21 had no mask as new when the next was due"
    )


def test_trtexecs_word_is_explained_where_its_figure_is_told() -> None:
    rows = {**RESULT.stages_ms, "infer.gpu": summarise([1.0])}
    assert "trtexec calls latency" in lines(result(**{**BARE, "stages_ms": rows}))[1]
