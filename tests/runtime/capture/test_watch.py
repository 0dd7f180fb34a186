"""runtime.capture.watch: what is made of pictures that come, do not come, come spoiled or stand still."""

from __future__ import annotations

import pytest

from runtime.capture.limits import Limits
from runtime.capture.watch import FEW, START_S, Watch
from runtime.sources.address import read_address

ADDRESS = read_address("rtsp://user:secret@camera/live")
LIMITS = Limits()


def watch(limits: Limits = LIMITS) -> Watch:
    """Of a connection whose child runs since second 0."""
    new = Watch(ADDRESS, limits, 0.0)
    new.begun(0.0)
    return new


def code(watch: Watch, now_s: float) -> str | None:
    verdict = watch.verdict(now_s)
    return verdict.code if verdict else None


def test_the_first_picture_may_take_its_time_and_no_longer() -> None:
    assert code(watch(), 9.9) is None
    assert code(watch(), 10.0) == "TIMEOUT"


def test_a_child_that_starts_slowly_is_not_the_fault_of_the_camera() -> None:
    slow = Watch(ADDRESS, Limits(connect_s=1.0), 0.0)
    assert code(slow, START_S - 0.1) is None
    slow.begun(START_S - 0.1)
    assert code(slow, START_S + 0.8) is None
    assert code(slow, START_S + 1.0) == "TIMEOUT"


def test_a_child_that_never_starts_is_given_up() -> None:
    assert code(Watch(ADDRESS, LIMITS, 0.0), START_S) == "TIMEOUT"


def test_a_pause_is_shown_and_a_long_one_ends_the_connection() -> None:
    paused = watch()
    paused.good(1.0, None)
    assert paused.stalled(2.9) is None
    stalled = paused.stalled(3.0)
    assert stalled is not None and stalled.code == "NO_SIGNAL"
    assert (code(paused, 5.9), code(paused, 6.0)) == (None, "NO_SIGNAL")


def test_a_picture_ends_a_pause() -> None:
    paused = watch()
    paused.good(1.0, None)
    paused.good(5.5, None)
    assert paused.stalled(6.0) is None and code(paused, 6.5) is None


@pytest.mark.parametrize(("in_a_row", "expected"), [(9, None), (10, "BAD_PICTURES")])
def test_many_spoiled_pictures_in_a_row_end_the_connection(in_a_row: int, expected: str | None) -> None:
    spoiled = watch()
    spoiled.good(1.0, None)
    spoiled.bad(in_a_row)
    assert code(spoiled, 1.1) == expected


def test_a_good_one_between_spoiled_ones_starts_the_count_anew() -> None:
    mixed = watch()
    for second in range(20):
        mixed.good(float(second), None)
        mixed.bad(9)
        assert code(mixed, float(second)) is None


@pytest.mark.parametrize(("count", "at_s", "expected"), [(FEW, 2.9, None), (FEW, 3.0, "BAD_PICTURES"), (1, 3.0, None)])
def test_spoiled_ones_alone_for_a_while_end_the_connection(count: int, at_s: float, expected: str | None) -> None:
    spoiled = watch()
    spoiled.good(1.0, None)
    spoiled.bad(count)
    assert code(spoiled, at_s) == expected


def test_spoiled_ones_before_the_first_good_one_are_waited_out_and_then_told() -> None:
    joined = watch()
    joined.bad(100)
    assert (code(joined, 9.0), code(joined, 10.0)) == (None, "BAD_PICTURES")


def test_the_same_picture_for_long_is_told_and_ends_nothing() -> None:
    still = watch()
    for second in range(1, 13):
        still.good(float(second), 7)
        assert (still.frozen() is not None) == (second >= 11)
    assert code(still, 12.0) is None


def test_told_of_the_same_frozen_picture_twice_it_is_the_same_reason() -> None:
    still = watch()
    still.good(0.0, 7)
    still.good(12.0, 7)
    first = still.frozen()
    still.good(20.0, 7)
    assert first is not None and first == still.frozen()


def test_a_frozen_picture_ends_the_connection_where_that_is_wished() -> None:
    still = watch(Limits(restart_on_frozen=True))
    still.good(0.0, 7)
    still.good(10.0, 7)
    assert code(still, 10.0) == "FROZEN"


def test_a_picture_that_moves_now_and_then_is_not_frozen() -> None:
    slow = watch()
    for second in range(60):
        slow.good(float(second), second // 9)
        assert slow.frozen() is None


def test_pictures_whose_content_was_not_looked_at_say_nothing_of_it() -> None:
    seldom = watch()
    for second in range(60):
        seldom.good(float(second), None)
        assert seldom.frozen() is None


def test_steady_is_what_was_good_for_long() -> None:
    fine = watch()
    fine.good(1.0, None)
    fine.good(30.9, None)
    assert not fine.is_steady
    fine.good(31.0, None)
    assert fine.is_steady


def test_reasons_hold_no_password() -> None:
    stalled = watch()
    stalled.good(0.0, None)
    assert "secret" not in str(stalled.stalled(9.0)) + str(stalled.verdict(9.0)) + str(watch().verdict(99.0))
