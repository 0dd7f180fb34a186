"""runtime.latency: samples per stage and the figures told of them."""

from __future__ import annotations

import statistics

import numpy as np
import pytest

from runtime.latency import KEPT, PERCENTILES, StageTimes, summarise


@pytest.mark.parametrize("count", [2, 3, 10, 101, 1000])
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
    assert set(summarise([4.0]).values()) == {1, 4.0}


def test_stages_stay_apart_and_in_order() -> None:
    times = StageTimes()
    times.add({"decode": 1.0, "infer": 10.0})
    times.add({"decode": 3.0, "infer": 30.0, "sinks": 5.0})
    summary = times.summary()
    assert list(summary) == ["decode", "infer", "sinks"]
    assert [(figures["n"], figures["mean"]) for figures in summary.values()] == [(2, 2.0), (2, 20.0), (1, 5.0)]


def test_memory_is_bounded_and_keeps_the_newest() -> None:
    times = StageTimes()
    for value in range(KEPT + 5):
        times.add({"infer": float(value)})
    assert list(times.samples["infer"])[:2] == [5.0, 6.0]
    assert (times.summary()["infer"]["n"], times.summary()["infer"]["max"]) == (KEPT, KEPT + 4)
