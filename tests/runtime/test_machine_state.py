"""machine_state and machine_watch: what a Jetson's files and NVML tell while they work, and when it is slowed down."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from runtime import machine_watch
from runtime.machine_state import MachineState, read_machine_state, throttled
from runtime.machine_watch import LOOKS, MachineWatch
from runtime.throttling import Clock, Counters, Ticks
from tests.runtime.jetson_samples import ORIN, THOR, write_files

AT_WORK = {
    **ORIN,
    "sys/class/devfreq/17000000.gpu/device/load": "930\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1344000\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "1344000\n",
    "proc/meminfo": "MemTotal:        7802792 kB\nMemFree:         1022312 kB\nMemAvailable:    4022312 kB\n",
    "proc/self/statm": "1000 200 30 4 0 50 0\n",
}

IDLE, BUSY = Counters(Ticks(0, 0)), Counters(Ticks(50, 100))


def test_a_jetson_tells_all_of_it(tmp_path: Path) -> None:
    told = read_machine_state(write_files(tmp_path, AT_WORK), tmp_path, {}, IDLE, BUSY).to_json()
    assert told.pop("disk_free_bytes") > 0
    assert told.pop("process_bytes") in (200 * 4096, 200 * 16384, 200 * 65536)
    assert told == {
        "temperatures_c": {"cpu-thermal": 48.3, "gpu-thermal": 47.8},
        "clocks": {
            "cpu": {"mhz": 1344, "max_mhz": 1344, "busy": 0.5},
            "gpu": {"mhz": 306, "max_mhz": 918, "busy": 0.93},
        },
        "power_mode": "25W",
        "rails_w": {"VDD_IN": pytest.approx(5.609, abs=1e-3), "VDD_CPU_GPU_CV": 0.88},
        "memory_bytes": 7802792 * 1024,
        "memory_free_bytes": 4022312 * 1024,
    }


NVML: dict[str, Any] = {
    "gpu_clock_mhz": 1200,
    "gpu_clock_max_mhz": 1980,
    "gpu_busy": 0.97,
    "temperature_c": 84,
    "power_w": 310.5,
    "throttle": ["idle", "temperature"],
    "power_limit_w": None,
}


def test_a_desktop_gpu_tells_by_nvml(tmp_path: Path) -> None:
    told = read_machine_state(tmp_path, tmp_path / "none", NVML, Counters(), Counters()).to_json()
    assert told == {
        "temperatures_c": {"gpu": 84.0},
        "clocks": {"gpu": {"mhz": 1200, "max_mhz": 1980, "busy": 0.97}},
        "gpu_power_w": 310.5,
        "throttle": ("temperature",),
    }


def test_a_jetsons_files_go_before_nvml(tmp_path: Path) -> None:
    state = read_machine_state(write_files(tmp_path, THOR), tmp_path, {"gpu_clock_mhz": 5}, Counters(), Counters())
    assert state.clocks["gpu"] == Clock(1575, 1575) and state.power_mode == "120W"


def test_a_machine_that_tells_nothing_is_empty(tmp_path: Path) -> None:
    assert read_machine_state(tmp_path, tmp_path / "none", {}, Counters(), Counters()) == MachineState()
    assert MachineState().to_json() == {}


def test_odd_files_raise_nothing(tmp_path: Path) -> None:
    root = write_files(tmp_path, {name: "\x00odd\n" for name in AT_WORK})
    told = read_machine_state(root, tmp_path, {}, Counters(), Counters()).to_json()
    assert told.keys() <= {"disk_free_bytes"}


# -- throttled ----------------------------------------------------------------------------------------------------

COOL = MachineState(temperatures_c={"cpu-thermal": 61.0, "gpu-thermal": 97.4}, clocks={"gpu": Clock(918, 918, 0.95)})
SLOW = replace(COOL, clocks={"gpu": Clock(306, 918, 0.95)})


def test_a_slow_clock_under_load_is_told_with_the_heat() -> None:
    reason = throttled([SLOW])
    assert reason is not None and reason.code == "THROTTLED" and reason.cure.startswith("cool it")
    assert reason.text == (
        "the machine is slowed down: the GPU runs at 306 of 918 MHz under load; the hottest: gpu-thermal at 97 C"
    )


@pytest.mark.parametrize("throttle", [(), ("power limit",), ("clocks set by the user", "reason 0x1000")])
def test_words_that_hold_nothing_back_are_no_reason(throttle: tuple[str, ...]) -> None:
    assert throttled([replace(COOL, throttle=throttle)]) is None


@pytest.mark.parametrize(
    ("throttle", "cure"),
    [
        (("temperature",), "cool it"),
        (("temperature, by hardware", "hardware slowdown"), "cool it"),
        (("gpu-throttle-alert",), "cool it"),
        (("power brake",), "stronger power supply"),
        (("over-current",), "stronger power supply"),
        (("under-voltage",), "stronger power supply"),
    ],
)
def test_words_that_hold_it_back_are_told_with_their_cure(throttle: tuple[str, ...], cure: str) -> None:
    reason = throttled([replace(COOL, throttle=throttle)])
    assert reason is not None and ", ".join(throttle) in reason.text and cure in reason.cure


def test_a_power_limit_is_told_where_the_clock_shows_it() -> None:
    reason = throttled([replace(SLOW, throttle=("power limit",))])
    assert reason is not None and "under load, power limit; " in reason.text and "raise its power limit" in reason.cure


def test_one_look_at_full_speed_is_enough_to_be_fine() -> None:
    assert throttled([SLOW, COOL, SLOW]) is None
    assert throttled([]) is None


def test_a_machine_without_thermometers_is_told_too() -> None:
    reason = throttled([replace(SLOW, temperatures_c={})])
    assert reason is not None and reason.text.endswith("under load")


# -- the watch ----------------------------------------------------------------------------------------------------


def eventually(watch: MachineWatch, wanted: Any) -> Any:
    """What `wanted` finds, within five seconds."""
    deadline = monotonic() + 5
    while not (found := wanted(watch)) and monotonic() < deadline:
        sleep(0.01)
    return found


def test_a_watch_tells_the_last_look_and_what_several_agree_on(tmp_path: Path) -> None:
    watch = MachineWatch(write_files(tmp_path, AT_WORK), tmp_path, every_s=0.01)
    assert watch.now() == {} and watch.reason() is None
    watch.start()
    try:
        reason = eventually(watch, MachineWatch.reason)
        assert reason is not None and "the GPU runs at 306 of 918 MHz under load" in reason.text
        told = watch.now()
        assert told["power_mode"] == "25W" and told["ago_s"] < 5
        write_files(tmp_path, {"sys/class/devfreq/17000000.gpu/cur_freq": "918000000"})
        assert eventually(watch, lambda watch: watch.reason() is None)
    finally:
        watch.stop(5)
    assert "machine" not in {thread.name for thread in threading.enumerate()}


def test_a_first_look_alone_is_no_reason(tmp_path: Path) -> None:
    watch = MachineWatch(write_files(tmp_path, AT_WORK), tmp_path, every_s=60)
    watch.start()
    try:
        assert eventually(watch, MachineWatch.now) and LOOKS > 1 and watch.reason() is None
    finally:
        watch.stop(5)


def test_a_driver_that_hangs_holds_up_nobody_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, free = threading.Event(), threading.Event()

    class Hanging:
        def __enter__(self) -> Any:
            hanging.set()
            assert free.wait(30)
            return dict

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(machine_watch, "nvml_gpu", Hanging)
    watch = MachineWatch(tmp_path, tmp_path)
    watch.start()
    try:
        assert hanging.wait(5)
        before = monotonic()
        assert watch.now() == {} and watch.reason() is None
        watch.stop(0.1)
        assert monotonic() - before < 3
    finally:
        free.set()
        watch.stop(5)


def test_a_watch_that_never_started_stops() -> None:
    MachineWatch().stop()
