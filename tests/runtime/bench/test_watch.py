"""runtime.bench.watch, .during and .memory: what is seen of a machine beside a loop."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from runtime.bench.during import during
from runtime.bench.memory import peak_bytes, reset_peak
from runtime.bench.watch import Watch
from runtime.machine_state import MachineState
from runtime.throttling import Clock
from tests.runtime.jetson_samples import ORIN, write_files

FAST, SLOW = Clock(918, 918, 0.95), Clock(306, 918, 0.95)


def seen(*states: MachineState, others_cores: float | None = None) -> Watch:
    return cast(Watch, SimpleNamespace(states=states, others_cores=others_cores))


def state(degrees: float = 50.0, clock: Clock = FAST, *throttle: str) -> MachineState:
    return MachineState({"gpu": degrees}, {"gpu": clock}, "25W", throttle=throttle)


def test_the_beginning_and_the_end_are_seen_however_short_it_is(tmp_path: Path) -> None:
    with Watch(write_files(tmp_path, ORIN), dict) as watch:
        watch.wait_for_a_look()
    assert len(watch.states) == len(watch.power) == 2
    assert watch.last()["power_mode"] == "25W"


def test_what_the_gpu_tells_of_power_and_memory_is_kept(tmp_path: Path) -> None:
    told: dict[str, Any] = {"power_w": 70.0, "memory_used_bytes": 1 << 30, "temperature_c": 61}
    with Watch(tmp_path, lambda: told) as watch:
        watch.wait_for_a_look()
    assert watch.power[0].watts == {"GPU": 70.0} and watch.gpu_bytes == [1 << 30] * 2
    assert watch.states[0].temperatures_c == {"gpu": 61.0}


def test_what_changes_meanwhile_is_seen(tmp_path: Path) -> None:
    root = write_files(tmp_path, ORIN)
    with Watch(root, dict) as watch:
        watch.wait_for_a_look()
        write_files(root, {"sys/class/thermal/thermal_zone1/temp": "91000\n"})
    assert during(watch)["temperatures_c"]["gpu-thermal"] == 91.0


def test_cores_that_others_keep_busy_are_told() -> None:
    """Of this very machine, unless its container sees the processors of its host."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        with Watch(Path("/"), dict) as beside_another:
            time.sleep(1.0)
    finally:
        busy.kill()
        busy.wait()
    assert beside_another.others_cores is None or beside_another.others_cores > 0.3


def test_the_hottest_and_both_ends_of_the_clock_are_told() -> None:
    told = during(seen(state(50.0), state(71.5, SLOW), state(60.0), others_cores=0.4))
    assert told == {
        "temperatures_c": {"gpu": 71.5},
        "clocks": {"gpu": {"least_mhz": 306, "most_mhz": 918, "max_mhz": 918}},
        "power_mode": "25W",
        "others_cores": 0.4,
    }


def test_a_machine_that_was_slowed_for_some_seconds_is_told_also_when_it_recovered() -> None:
    told = during(seen(state(), *[state(88.0, SLOW)] * 3, state(), state()))
    assert "306 of 918 MHz" in told["slowed"]


def test_a_clock_that_just_rises_to_its_work_is_not_slowed() -> None:
    assert "slowed" not in during(seen(state(50, SLOW), state(50, SLOW), state(), state()))


def test_every_word_of_what_held_it_back_is_told_once() -> None:
    told = during(seen(state(50, FAST, "power limit"), state(50, FAST, "power limit", "sync boost")))
    assert told["throttle"] == ["power limit", "sync boost"]


def test_a_machine_that_tells_nothing_has_no_state() -> None:
    assert during(seen(MachineState())) == during(seen()) == {}


def test_the_mark_of_memory_rises_and_falls_back_when_it_is_reset() -> None:
    much = np.ones(25_000_000)  # 200 MB, touched
    high = peak_bytes()
    del much
    is_reset = reset_peak()  # some containers have a /proc that cannot be written
    low = peak_bytes()
    assert high is not None and low is not None and high > 200_000_000
    assert high - low > 100_000_000 if is_reset else high == low


def test_without_linuxs_files_there_is_no_mark(tmp_path: Path) -> None:
    assert peak_bytes(tmp_path) is None and not reset_peak(tmp_path / "nothing")
