"""runtime.stream.histogram: percentiles in constant memory, as near to the samples' own as is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.stream.histogram import LEAST_MS, PARTS, Histogram

VALUES = st.lists(st.floats(LEAST_MS, 1e6), min_size=1, max_size=300)


def filled(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    return histogram


@given(VALUES, st.sampled_from([1, 50, 90, 95]))
def test_a_percentile_is_within_a_bucket_of_the_samples_own(values: list[float], percent: int) -> None:
    told = filled(values).percentile(percent)
    exact = sorted(values)[math.ceil(percent / 100 * len(values)) - 1]
    assert told == pytest.approx(exact, rel=1 / PARTS)


@given(st.floats(0, LEAST_MS) | st.floats(1e6, 1e12))
def test_what_is_less_or_more_than_a_clock_tells_is_counted_all_the_same(value: float) -> None:
    assert sum(filled([value]).counts) == 1


def test_a_p99_wants_a_hundred_samples() -> None:
    assert filled([1.0] * 99).percentile(99) is None
    assert filled([1.0] * 100).percentile(99) == 1.0
    assert Histogram().percentile(50) is None and Histogram().mean_ms is None


def test_no_percentile_is_above_the_longest() -> None:
    values = list(np.random.default_rng(0).lognormal(2, 1, 1000))
    assert filled(values).percentile(100) == max(values)
