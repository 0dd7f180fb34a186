"""runtime.capture.timeline and arrivals: time that never goes back, and how many came in it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from runtime.capture.arrivals import Arrivals
from runtime.capture.timeline import Timeline

SECOND_NS = 1_000_000_000


def test_the_first_picture_is_at_0_whatever_the_medium_says() -> None:
    assert Timeline().at(77 * SECOND_NS, 12345.0) == 0


def test_a_medium_s_own_time_is_smoother_than_the_network() -> None:
    timeline = Timeline()
    arrivals = [0.0, 0.14, 0.19, 0.33]
    times = [timeline.at(int((5 + at) * SECOND_NS), 100 + index / 10) for index, at in enumerate(arrivals)]
    assert [float(time) for time in times] == pytest.approx([0.0, 0.1, 0.2, 0.3])


@pytest.mark.parametrize("medium", [None, float("nan"), float("inf")])
def test_without_a_medium_s_time_it_is_when_pictures_came(medium: float | None) -> None:
    timeline = Timeline()
    assert [float(timeline.at(at * SECOND_NS, medium)) for at in (3, 4, 6)] == pytest.approx([0, 1, 3])


@pytest.mark.parametrize("jump", [-1000.0, -0.7, 0.7, 3600.0])
def test_a_camera_that_begins_anew_or_sets_its_clock_goes_on_where_it_is(jump: float) -> None:
    timeline = Timeline()
    times = [timeline.at(index * SECOND_NS, index + (jump if index >= 5 else 0)) for index in range(10)]
    assert [float(time) for time in times] == pytest.approx(list(range(10)))


def test_time_never_stands_still_or_goes_back() -> None:
    timeline = Timeline()
    times = [timeline.at(SECOND_NS, medium) for medium in (1.0, 1.0, 0.9, 1.2, 1.1, None)]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_the_rate_is_of_the_last_ten_seconds() -> None:
    arrivals = Arrivals()
    for index in range(40 * 30):
        arrivals.add(1, index / 30)
    assert arrivals.rate(40.0) == pytest.approx(30, rel=0.01)
    assert arrivals.rate(45.0) == pytest.approx(15, rel=0.01)
    assert arrivals.rate(60.0) == 0


def test_the_first_seconds_are_not_taken_for_ten() -> None:
    arrivals = Arrivals()
    assert arrivals.rate(5.0) is None
    for index in range(60):
        arrivals.add(1, 5.0 + index / 30)
    assert arrivals.rate(5.5) is None
    assert arrivals.rate(7.0) == pytest.approx(30)
