"""runtime.bench.power: joules of what is told now and then. Jetsons' files are samples; none was at hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.bench.power import Count, PowerLook, look_at_power, mean_watts
from tests.runtime.jetson_samples import MONITOR, ORIN, write_files

RAPL = "sys/class/powercap"
PACKAGE = {
    f"{RAPL}/intel-rapl:0/name": "package-0\n",
    f"{RAPL}/intel-rapl:0/energy_uj": "12500000\n",
    f"{RAPL}/intel-rapl:0/max_energy_range_uj": "262143328850\n",
    f"{RAPL}/intel-rapl:0:0/name": "core\n",
    f"{RAPL}/intel-rapl:0:0/energy_uj": "9000000\n",
    f"{RAPL}/intel-rapl:0:0/max_energy_range_uj": "262143328850\n",
}


def looks_at(*watts: tuple[float, float]) -> list[PowerLook]:
    return [PowerLook(at, {"GPU": value}, {}) for at, value in watts]


def test_a_jetson_is_told_by_the_rail_that_all_others_hang_on(tmp_path: Path) -> None:
    look = look_at_power(write_files(tmp_path, ORIN), {}, 1.0)
    assert look.watts == {"VDD_IN": pytest.approx(5.609, abs=1e-3)}


def test_a_board_without_such_a_rail_is_told_by_the_sum_of_its_rails(tmp_path: Path) -> None:
    files = {**ORIN, f"{MONITOR}/in1_label": "VDD_GPU_SOC\n"}
    look = look_at_power(write_files(tmp_path, files), {}, 1.0)
    assert look.watts == {"VDD_GPU_SOC + VDD_CPU_GPU_CV": pytest.approx(5.609 + 0.88, abs=1e-3)}


def test_what_hangs_on_another_rail_is_not_counted_twice(tmp_path: Path) -> None:
    """As an AGX Orin names its rails."""
    files = {**ORIN, f"{MONITOR}/in1_label": "VIN_SYS_5V0\n", f"{MONITOR}/in2_label": "VDDQ_VDD2_1V8AO\n"}
    look = look_at_power(write_files(tmp_path, files), {}, 1.0)
    assert look.watts == {"VIN_SYS_5V0": pytest.approx(5.609, abs=1e-3)}


def test_a_gpu_and_a_processor_are_told_apart(tmp_path: Path) -> None:
    look = look_at_power(write_files(tmp_path, PACKAGE), {"power_w": 71.25}, 1.0)
    assert look.watts == {"GPU": 71.25}
    assert look.counts == {"package-0": Count(12.5, pytest.approx(262143.3, abs=0.1))}


def test_where_nothing_tells_power_there_is_none(tmp_path: Path) -> None:
    look = look_at_power(tmp_path, {}, 1.0)
    assert look.sources == [] and mean_watts([look, look_at_power(tmp_path, {}, 2.0)]) == {}


def test_a_counter_that_others_may_not_read_is_left_out(tmp_path: Path) -> None:
    """As most systems have it: the folder is there, its counter is root's."""
    files = {name: text for name, text in PACKAGE.items() if "energy_uj" not in name}
    assert look_at_power(write_files(tmp_path, files), {}, 1.0).sources == []


def test_watts_go_straight_from_look_to_look() -> None:
    assert mean_watts(looks_at((0.0, 10.0), (1.0, 20.0), (4.0, 20.0))) == {"GPU": pytest.approx((15 + 60) / 4)}


def test_a_look_counts_for_its_time_and_not_for_its_number() -> None:
    steady = looks_at((0.0, 10.0), (9.0, 10.0), (9.1, 30.0), (9.2, 30.0), (9.3, 30.0))
    assert mean_watts(steady)["GPU"] == pytest.approx((90 + 2 + 3 + 3) / 9.3)


def test_a_counter_tells_its_difference_also_where_it_began_anew() -> None:
    looks = [PowerLook(at, {}, {"package-0": Count(joules, 100.0)}) for at, joules in ((0, 80), (1, 95), (2, 10))]
    assert mean_watts(looks) == {"package-0": pytest.approx((15 + 15) / 2)}


def test_what_was_not_told_all_the_time_has_no_mean() -> None:
    looks = [PowerLook(0.0, {"GPU": 1.0, "VDD_IN": 5.0}, {}), PowerLook(1.0, {"VDD_IN": 7.0}, {})]
    assert mean_watts(looks) == {"VDD_IN": 6.0}


@pytest.mark.parametrize("count", [0, 1])
def test_one_look_is_no_time(count: int) -> None:
    assert mean_watts(looks_at((0.0, 10.0))[:count]) == {}
