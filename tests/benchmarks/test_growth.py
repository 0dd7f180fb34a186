"""The power law through measured points, and the axes that show it."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.growth.growth import Growth, Model, growths, side_by_side
from benchmarks.growth.law import power_law, round_ticks


def test_an_exact_law_is_found_with_no_room_around_it() -> None:
    law = power_law([1, 2, 4, 8], [3 * work**1.5 for work in (1, 2, 4, 8)])
    assert (law.factor, law.exponent) == pytest.approx((3, 1.5))
    assert law.interval == pytest.approx((1.5, 1.5))
    assert law.at(16) == pytest.approx(3 * 16**1.5)


def test_the_interval_holds_the_exponent_in_nineteen_of_twenty_noisy_rows() -> None:
    generator, work = np.random.default_rng(0), np.array([1, 2, 4, 8, 16])
    laws = [power_law(work, work * np.exp(generator.normal(0, 0.1, 5))) for _ in range(1000)]
    assert 0.93 < np.mean([law.interval[0] < 1 < law.interval[1] for law in laws]) < 0.97


def test_two_points_have_an_exponent_and_no_interval() -> None:
    law = power_law([1, 10], [1, 100])
    assert str(law) == "2.00"
    assert law.interval is None


@pytest.mark.parametrize(
    ("low", "high", "ticks"), [(3, 40, [2, 5, 10, 20, 50]), (1, 8, [1, 2, 5, 10]), (5, 5, [5, 10])]
)
def test_ticks_are_round_and_enclose(low: float, high: float, ticks: list[float]) -> None:
    assert round_ticks(low, high) == pytest.approx(ticks)


def test_models_grow_by_size_and_by_width_and_share_the_point_between() -> None:
    shared = Model(0.25, (32, 32), "fp32")
    models = {
        shared: {"p50_ms": 1.0, "own_mb": 1.0},
        Model(0.25, (64, 64), "fp32"): {"p50_ms": 4.0, "own_mb": 2.0},
        Model(0.5, (32, 32), "fp32"): {"p50_ms": 8.0, "own_mb": 3.0},
    }
    costs = ("age_p50_ms", "processor", "memory_mb", "cameras_memory_mb")
    cameras = {count: dict.fromkeys(costs, float(count)) for count in (1, 2)}
    found = growths(models, cameras, 0.25, (32, 32))
    assert [law.exponent for growth in found[:2] for law in growth.laws.values()] == pytest.approx([1, 3])
    assert [law.exponent for growth in found[4:] for law in growth.laws.values()] == pytest.approx([1] * 4)
    assert side_by_side(found).shape[2] == 3


def test_a_cost_that_does_not_grow_can_be_drawn() -> None:
    assert Growth("cameras", "MB", {"stream": {1: 5.0, 2: 5.0}}).picture().shape[2] == 3
