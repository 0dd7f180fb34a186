"""runtime.capture.backoff: soon at first, then ever more seldom, never in step."""

from __future__ import annotations

import pytest

from runtime.capture.backoff import Backoff


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def waits(backoff: Backoff, attempts: int) -> list[float]:
    return [backoff.next_start(100.0) - 100.0 for _ in range(attempts)]


def test_the_first_retry_comes_at_once_and_later_ones_ever_later() -> None:
    assert waits(Backoff(12.0, middle), 8) == pytest.approx([0, 1, 2, 4, 8, 10, 10, 10])


def test_it_is_counted_from_the_start_of_an_attempt() -> None:
    backoff = Backoff(12.0, middle)
    backoff.next_start(0.0)
    assert backoff.next_start(50.0) == 51.0


def test_after_a_reset_the_first_retry_comes_at_once_again() -> None:
    backoff = Backoff(10.0, middle)
    waits(backoff, 7)
    backoff.reset()
    assert waits(backoff, 2) == [0, 1]


def test_jitter_keeps_sources_apart_and_below_the_most() -> None:
    late = [wait for _ in range(200) for wait in waits(Backoff(10.0), 9)[-3:]]
    assert 6.6 < min(late) < 7.2 and 9.5 < max(late) <= 10.0


def test_a_short_most_holds_for_every_step() -> None:
    assert max(waits(Backoff(0.5), 20)) <= 0.5
