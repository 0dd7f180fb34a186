"""runtime.bench.ratios: intervals that hold as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from runtime.bench.ratios import (
    Interval,
    is_different,
    median_ms,
    paired_ratio,
    ratio_of_runs,
    t_975,
    verdict,
)

SPELLS = [(9.0, 10.0, 11.0), (19.0, 20.0, 30.0), (39.0, 40.0, 41.0)]  # medians 10, 20, 40


def twice(spells: list[tuple[float, ...]]) -> list[tuple[float, ...]]:
    return [tuple(2 * block for block in blocks) for blocks in spells]


@pytest.mark.parametrize("freedom", [*range(1, 60), 100, 1000])
def test_the_points_are_those_of_students_t(freedom: int) -> None:
    assert t_975(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), abs=0.004)


def test_a_median_is_the_middle_of_its_spells_and_its_interval_students() -> None:
    found = median_ms(SPELLS)
    half = 4.303 * math.log(2) / math.sqrt(3)
    assert found.value == pytest.approx(20)
    assert (found.low, found.high) == pytest.approx((20 * math.exp(-half), 20 * math.exp(half)))
    assert found.half_width == pytest.approx(math.exp(half) - 1)


def test_what_slows_both_of_a_pair_alike_cancels() -> None:
    found = paired_ratio(twice(SPELLS), SPELLS)
    assert (found.value, found.low, found.high) == pytest.approx((2, 2, 2))


def test_a_disturbed_round_of_a_spell_does_not_move_the_ratio() -> None:
    spells = [(18.0, 900.0, 22.0), (38.0, 40.0, 60.0), (78.0, 80.0, 1.0)]
    assert paired_ratio(spells, SPELLS).value == pytest.approx(2, rel=0.03)


def test_runs_are_no_pairs_so_the_spread_of_both_counts() -> None:
    found = ratio_of_runs(twice(SPELLS), SPELLS)
    logs = np.log([10, 20, 40])
    wanted = stats.ttest_ind(logs + math.log(2), logs, equal_var=False).confidence_interval(0.95)
    assert found.value == pytest.approx(2)
    assert (math.log(found.low), math.log(found.high)) == pytest.approx(tuple(wanted), abs=1e-3)


def test_the_spread_of_the_wilder_run_decides_how_far_to_trust_both() -> None:
    chance = np.random.default_rng(0)
    wild, calm = chance.normal(2, 0.2, 4), chance.normal(2, 0.01, 12)
    found = ratio_of_runs([(value,) for value in np.exp(wild)], [(value,) for value in np.exp(calm)])
    wanted = stats.ttest_ind(wild, calm, equal_var=False).confidence_interval(0.95)
    assert math.log(found.low) <= wanted.low and wanted.high <= math.log(found.high)  # freedom is rounded down
    assert math.log(found.low) == pytest.approx(wanted.low, abs=0.01)


def test_an_allowance_widens_the_interval_to_both_sides() -> None:
    calm = [(10.0,), (10.0,), (10.0,)]
    found = ratio_of_runs(calm, calm, allowance=0.04)
    assert (found.value, found.low, found.high) == pytest.approx((1, 1 / 1.04, 1.04))


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (Interval(0.7576, 0.741, 0.775), "a is 1.32x (1.29 to 1.35) as fast as b"),
        (Interval(1.32, 1.29, 1.35), "b is 1.32x (1.29 to 1.35) as fast as a"),
        (Interval(1.0, 0.98, 1.03), "no difference seen between a and b: 1.00 (0.98 to 1.03) times as long"),
        (Interval(1.003, 1.002, 1.004), "no difference seen between a and b: 1.00 (1.00 to 1.00) times as long"),
    ],
)
def test_a_verdict_says_who_is_faster_only_where_the_interval_does(ratio: Interval, words: str) -> None:
    assert verdict("a", "b", ratio) == words
    assert is_different(ratio) == ("as fast as" in words)


def test_a_ratio_turned_round_keeps_its_interval() -> None:
    turned = Interval(2.0, 1.6, 2.5).inverse
    assert (turned.value, turned.low, turned.high) == (0.5, 0.4, 0.625)


@pytest.mark.parametrize("ratio", [1.0, 1.1, 2.0])
def test_intervals_of_pairs_hold_as_often_as_they_say(ratio: float) -> None:
    """Spells that differ by 1 %, rounds by 10 % and with bursts that hit one of the two."""
    chance = np.random.default_rng(3)
    held = 0
    for _ in range(1000):
        own = math.log(ratio) + chance.normal(0, 0.01, (8, 1))
        rounds = own + chance.normal(0, 0.1, (8, 8)) + 0.5 * (chance.random((8, 8)) < 0.05)
        common = chance.normal(0, 0.3, (8, 8))
        found = paired_ratio(np.exp(rounds + common).tolist(), np.exp(common).tolist())
        held += found.low <= ratio <= found.high
    assert 0.93 <= held / 1000 <= 0.97
