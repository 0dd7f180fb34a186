"""throttling: clocks, load, cooling and alarms, read from copies of the kernel's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.throttling import (
    Clock,
    Counters,
    Ticks,
    alarms_between,
    coolers_at_work,
    cpu_busy,
    cpu_clock,
    read_counters,
)
from tests.runtime.jetson_samples import write_files

POLICY = "sys/devices/system/cpu/cpufreq/policy"


def policy(number: int, **khz: int) -> dict[str, str]:
    return {f"{POLICY}{number}/{name}": f"{value}\n" for name, value in khz.items()}


def test_the_clock_is_that_of_the_fastest_core(tmp_path: Path) -> None:
    small = policy(0, scaling_cur_freq=1_500_000, scaling_max_freq=1_500_000)
    big = policy(4, scaling_cur_freq=1_190_400, scaling_max_freq=1_984_000)
    assert cpu_clock(write_files(tmp_path, {**small, **big}), 0.5) == Clock(1190, 1984, 0.5)


def test_what_a_boost_adds_is_not_promised(tmp_path: Path) -> None:
    files = policy(0, scaling_cur_freq=2_900_000, scaling_max_freq=5_000_000, base_frequency=3_000_000)
    assert cpu_clock(write_files(tmp_path, files), None) == Clock(2900, 3000)


@pytest.mark.parametrize("files", [{}, {f"{POLICY}0/scaling_cur_freq": "<unknown>"}])
def test_a_machine_that_tells_no_clock_has_none(tmp_path: Path, files: dict[str, str]) -> None:
    assert cpu_clock(write_files(tmp_path, files), 1.0) is None


@pytest.mark.parametrize(
    ("clock", "slow"),
    [
        (Clock(899, 1000, 0.8), True),
        (Clock(900, 1000, 1.0), False),
        (Clock(300, 1000, 0.79), False),
        (Clock(300, 1000), False),
        (Clock(300, None, 1.0), False),
    ],
)
def test_a_clock_is_slow_below_nine_tenths_and_with_work(clock: Clock, slow: bool) -> None:
    assert clock.is_slow is slow


def test_the_load_is_what_worked_between_two_readings(tmp_path: Path) -> None:
    stat = "cpu  {} 0 100 {} 50 0 0 0 7 0\ncpu0 1 2 3 4 5 6 7 8\nintr 1\n"
    before = read_counters(write_files(tmp_path, {"proc/stat": stat.format(100, 800)}))
    now = read_counters(write_files(tmp_path, {"proc/stat": stat.format(175, 825)}))
    assert before.ticks == Ticks(200, 1050) and cpu_busy(before, now) == 0.75


@pytest.mark.parametrize("stat", ["", "cpu", "cpu 1 2 3", "intr 5"])
def test_a_load_that_nobody_tells_is_none(tmp_path: Path, stat: str) -> None:
    found = read_counters(write_files(tmp_path, {"proc/stat": stat}))
    assert found == Counters() and cpu_busy(found, found) is None


def test_no_time_is_no_load() -> None:
    assert cpu_busy(Counters(Ticks(1, 2)), Counters(Ticks(1, 2))) is None


SOCTHERM = "sys/class/hwmon/hwmon3"


def test_alarms_are_told_that_rose_between_two_readings(tmp_path: Path) -> None:
    files = {
        f"{SOCTHERM}/oc1_event_cnt": "1",
        f"{SOCTHERM}/oc2_event_cnt": "15",
        f"{SOCTHERM}/oc3_event_cnt": "37",
        "sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count": "4",
    }
    before = read_counters(write_files(tmp_path, files))
    assert before.alarms == {"under-voltage": 1, "over-current": 52, "temperature": 4}
    assert alarms_between(before, before) == []
    rose = {
        f"{SOCTHERM}/oc3_event_cnt": "38",
        "sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count": "9",
    }
    assert alarms_between(before, read_counters(write_files(tmp_path, rose))) == ["over-current", "temperature"]
    assert alarms_between(Counters(), before) == [], "what rose before nobody looked is old"


def cooler(number: int, name: str, state: object) -> dict[str, str]:
    folder = f"sys/class/thermal/cooling_device{number}"
    return {f"{folder}/type": f"{name}\n", f"{folder}/cur_state": f"{state}\n"}


def test_coolers_that_slow_clocks_are_told_and_fans_are_not(tmp_path: Path) -> None:
    files = {
        **cooler(0, "pwm-fan", 3),
        **cooler(1, "gpu-throttle-alert", 1),
        **cooler(2, "cpu-throttle-alert", 0),
        **cooler(3, "cpufreq-cpu0", 2),
        **cooler(4, "cpufreq-cpu4", "odd"),
        **cooler(5, "devfreq-17000000.gpu", 4),
        **cooler(6, "Processor", 1),
        **cooler(7, "Processor", 1),
        **cooler(8, "intel_powerclamp", -1),
    }
    working = ["Processor", "cpufreq-cpu0", "devfreq-17000000.gpu", "gpu-throttle-alert"]
    assert coolers_at_work(write_files(tmp_path, files)) == working
