"""runtime.bench.loops: in the open loop no frame's waiting is left out. The clock is ours, so figures are exact."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from runtime.bench.loops import Answer, closed_loop, open_loop, warm_up
from tests.runtime.bench.slow_models import SHOTS, Clock, segmenter_of


def answers_at(rate: float, frames: int, seconds: Callable[[int], float]) -> list[Answer]:
    clock = Clock()
    return list(open_loop(segmenter_of(seconds, clock.sleep), SHOTS, rate, frames, clock, clock.sleep))


def latencies_of(answers: list[Answer]) -> list[float]:
    return [latency for answer in answers for latency in answer.latencies_ms]


def test_a_model_that_keeps_up_answers_each_frame_after_its_own_time() -> None:
    answers = answers_at(20, 50, lambda number: 0.01)
    assert [len(answer.latencies_ms) for answer in answers] == [1] * 50
    assert latencies_of(answers) == pytest.approx([10.0] * 50)
    assert [answer.times_ms["wait"] for answer in answers] == pytest.approx([0.0] * 50, abs=1e-6)


def test_a_pause_of_a_second_shows_with_every_frame_that_was_due_in_it() -> None:
    """20 frames a second for ten seconds: twenty of them wait, the last for as long as it takes to be next."""
    latencies = latencies_of(answers_at(20, 200, lambda number: 1.0 if number == 60 else 0.01))
    assert len(latencies) == 200
    slow = [latency for latency in latencies if latency > 50]
    assert slow == pytest.approx([1000.0, *range(960, 59, -50)])
    assert np.percentile(latencies, 99) > 900 and np.percentile(latencies, 50) == pytest.approx(10)


def test_the_same_pause_is_one_sample_of_the_closed_loop() -> None:
    clock = Clock()
    segmenter = segmenter_of(lambda number: 1.0 if number == 60 else 0.01, clock.sleep)
    answers = list(islice(closed_loop(segmenter, SHOTS, clock), 200))
    assert [len(answer.latencies_ms) for answer in answers] == [1] * 200
    assert answers[-1].at_s == pytest.approx(199 * 0.01 + 1.0)


def test_a_model_too_slow_for_the_rate_drops_frames_and_its_latency_does_not_grow() -> None:
    answers = answers_at(100, 400, lambda number: 0.025)
    latencies = latencies_of(answers)
    assert len(latencies) == 400 and len(answers) < 170
    assert max(latencies) <= 2 * 25 + 1e-6
    assert max(latencies[-100:]) == pytest.approx(max(latencies[:100]), abs=10)


def test_what_is_dropped_waits_longer_than_the_newer_frame_it_made_way_for() -> None:
    for answer in answers_at(100, 100, lambda number: 0.035):
        assert list(answer.latencies_ms) == sorted(answer.latencies_ms, reverse=True)


@pytest.mark.parametrize("frames", [1, 2, 17])
def test_every_frame_that_is_due_is_answered_and_none_beyond(frames: int) -> None:
    assert len(latencies_of(answers_at(50, frames, lambda number: 0.07))) == frames


def test_a_pause_over_the_last_frames_is_told_too() -> None:
    latencies = latencies_of(answers_at(20, 40, lambda number: 1.0 if number == 30 else 0.001))
    assert sum(latency > 50 for latency in latencies) == 10  # those due after it are but nine


def test_sleep_that_lasts_too_long_is_waiting() -> None:
    clock = Clock()
    segmenter = segmenter_of(lambda number: 0.01, clock.sleep)
    answers = list(open_loop(segmenter, SHOTS, 10, 5, clock, lambda seconds: clock.sleep(seconds + 0.003)))
    assert [answer.times_ms["wait"] for answer in answers] == pytest.approx([3.0] * 5)
    assert latencies_of(answers) == pytest.approx([13.0] * 5)


@pytest.mark.parametrize(("frames", "seconds", "passes"), [(3, 0.0, 3), (1, 5.0, 5), (7, 5.0, 7)])
def test_warm_up_ends_when_its_frames_and_its_time_are_over(frames: int, seconds: float, passes: int) -> None:
    clock, done = Clock(), []
    segmenter = segmenter_of(lambda number: done.append(number) or 1.0, clock.sleep)
    warm_up(segmenter, SHOTS, frames, seconds, clock=clock)
    assert len(done) == passes


def test_warm_up_ends_with_the_users_wish() -> None:
    done: list[int] = []
    segmenter = segmenter_of(lambda number: done.append(number) or 0.0)
    warm_up(segmenter, SHOTS, 100, 100.0, is_wished=lambda: len(done) == 4)
    assert len(done) == 4
