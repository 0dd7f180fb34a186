"""Where histograms are cut: percentiles as numpy has them, the least error by trying all, outliers cut away."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from calibration.ranges import BINS, Histogram
from calibration.thresholds import LEVELS, METHODS, entropy, minmax, mse, percentile, thresholds

Values = NDArray[np.float32]


def histogram_of(values: Values) -> Histogram:
    histogram = Histogram()
    for part in np.array_split(values, 3):
        histogram.add(part)
    return histogram


def width_of(histogram: Histogram) -> float:
    return histogram.high / BINS


def bell(count: int = 200_000, seed: int = 0) -> Values:
    """Half of a bell curve, from 0."""
    return np.abs(np.random.default_rng(seed).normal(0, 1, count)).astype(np.float32)


def with_outliers(values: Values) -> Values:
    """A few values, one in 5,000, that lie far off."""
    return np.concatenate([np.random.default_rng(5).uniform(20, 40, len(values) // 5000).astype(np.float32), values])


def distributions() -> list[Values]:
    random = np.random.default_rng(1)
    exponential = random.exponential(2.0, 100_000).astype(np.float32)
    uniform = random.uniform(0, 5, 100_000).astype(np.float32)
    relu = np.maximum(random.normal(0, 3, 200_000), 0).astype(np.float32)
    return [bell(), exponential, uniform, relu, with_outliers(bell())]


NAMES = ["bell", "exponential", "uniform", "relu", "outliers"]
each_distribution = pytest.mark.parametrize("values", distributions(), ids=NAMES)


@each_distribution
def test_minmax_is_the_largest_value_itself(values: Values) -> None:
    assert minmax(histogram_of(values)) == values.max()


@each_distribution
@pytest.mark.parametrize("share", [50.0, 99.0, 99.9, 99.99, 99.999, 100.0])
def test_a_percentile_is_numpys_to_a_bin(values: Values, share: float) -> None:
    histogram = histogram_of(values)
    wanted = float(np.percentile(values, share, method="inverted_cdf"))
    found = percentile(histogram, share)
    assert wanted - 1e-5 <= found <= wanted + 1.01 * width_of(histogram)
    assert (values <= found).mean() >= share / 100 - 1e-9


@each_distribution
def test_no_method_goes_beyond_the_largest_value_and_percentiles_are_in_order(values: Values) -> None:
    histogram = histogram_of(values)
    found = {name: method(histogram) for name, method in METHODS.items()}
    assert all(0 < threshold <= found["minmax"] for threshold in found.values())
    assert found["percentile-99.99"] <= found["percentile-99.999"] <= found["minmax"]


def error_of(values: Values, cut: float) -> float:
    """Mean squared error of what eight bits show of the values themselves."""
    step = cut / (LEVELS - 1)
    return float(((values - np.clip(np.round(values / step), 0, LEVELS - 1) * step) ** 2).mean())


@each_distribution
def test_mse_errs_no_more_than_the_best_of_many_cuts(values: Values) -> None:
    least = min(error_of(values, cut) for cut in np.linspace(values.max() / 20, values.max(), 300))
    assert error_of(values, mse(histogram_of(values))) <= 1.03 * least


def test_entropy_cuts_outliers() -> None:
    values = with_outliers(bell())
    assert np.percentile(bell(), 90) < entropy(histogram_of(values)) < 0.5 * values.max()


@pytest.mark.parametrize("method", ["entropy", "mse"])
def test_an_even_range_is_kept(method: str) -> None:
    even = np.random.default_rng(2).uniform(0.5, 5, 100_000).astype(np.float32)
    assert METHODS[method](histogram_of(even)) > 0.95 * even.max()


def test_mse_is_lower_than_minmax_where_outliers_are_rare() -> None:
    values = np.append(bell(), np.float32(60))
    assert error_of(values, mse(histogram_of(values))) < 0.6 * error_of(values, float(values.max()))


def test_the_zeros_of_a_relu_move_no_cut_of_entropy() -> None:
    """Zero is shown exactly whatever the cut, so it says nothing about where to cut."""
    live = bell(100_000)
    with_zeros = np.concatenate([live, np.zeros(len(live), np.float32)])
    assert entropy(histogram_of(with_zeros)) == pytest.approx(entropy(histogram_of(live)), rel=0.15)


def test_the_zeros_of_a_relu_move_no_cut_of_least_error() -> None:
    live = bell(100_000)
    with_zeros = np.concatenate([live, np.zeros(len(live), np.float32)])
    assert mse(histogram_of(with_zeros)) == pytest.approx(mse(histogram_of(live)), rel=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_scale_changes_nothing_but_the_scale(method: str) -> None:
    values = with_outliers(bell())
    small, large = (METHODS[method](histogram_of(values * np.float32(scale))) for scale in (1, 1024))
    assert large == pytest.approx(1024 * small, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_thresholds_name_every_layer_and_a_dead_one_gets_one(method: str) -> None:
    dead = histogram_of(np.zeros(30, np.float32))
    live = histogram_of(bell())
    found = thresholds({"conv1_1": live, "fc7": dead}, method)
    assert found == {"conv1_1": METHODS[method](live), "fc7": 1.0}


@pytest.mark.parametrize("method", METHODS)
def test_a_single_value_is_kept(method: str) -> None:
    histogram = histogram_of(np.full(300, 2.5, np.float32))
    assert METHODS[method](histogram) == pytest.approx(2.5, rel=0.01)
