"""runtime.latency: the figures told of samples."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from runtime.latency import PERCENTILES, summarise


@pytest.mark.parametrize("count", [100, 101, 1000])
def test_percentiles_are_linear_between_samples(count: int) -> None:
    values = np.random.default_rng(count).exponential(10, count).tolist()
    figures = summarise(values)
    hundredths = statistics.quantiles(values, n=100, method="inclusive")
    assert [figures[f"p{percentile}"] for percentile in PERCENTILES] == pytest.approx(
        [hundredths[percentile - 1] for percentile in PERCENTILES]
    )


def test_percentiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).gamma(2, 5, 777)
    figures = summarise(values)
    assert [figures[f"p{percentile}"] for percentile in PERCENTILES] == np.percentile(values, PERCENTILES).tolist()


def test_a_summary_tells_count_mean_and_maximum() -> None:
    figures = summarise([1.0, 2.0, 6.0])
    assert (figures["n"], figures["mean"], figures["p50"], figures["max"]) == (3, 3.0, 2.0, 6.0)


def test_one_sample_is_every_figure() -> None:
    assert set(summarise([4.0]).values()) == {1, 4.0, None}


@pytest.mark.parametrize(("count", "told"), [(99, False), (100, True)])
def test_a_p99_wants_a_hundred_samples(count: int, told: bool) -> None:
    """Of fewer it would be the maximum under another name."""
    assert (summarise(range(count))["p99"] is not None) == told
