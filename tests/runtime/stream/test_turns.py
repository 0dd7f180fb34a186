"""runtime.stream.turns and feed: whose frame is next, in which order, and who waits for whom."""

from __future__ import annotations

import threading
from time import monotonic, sleep

import pytest

from fcn_edge.errors import SourceError
from runtime.stream.feed import READ_AHEAD, FileFeed
from runtime.stream.status import SourceState
from runtime.stream.turns import Turns
from tests.runtime.stream.streaming import Steps


def begun(*feeds: FileFeed) -> Turns:
    turns = Turns()
    turns.begin(feeds)
    for feed in feeds:
        feed.start()
    return turns


def taken(turns: Turns) -> list[tuple[str, int]]:
    frames = []
    while (turn := turns.next()) is not None:
        frames.append((turn[0].name, turn[1].index))
    return frames


def test_two_files_take_turns_until_both_are_over() -> None:
    feeds = [FileFeed("a", Steps(5), lambda: None), FileFeed("b", Steps(5), lambda: None)]
    turns = Turns()
    turns.begin(feeds)
    for feed in feeds:
        feed.start()
        while len(feed._frames) < READ_AHEAD:
            sleep(0.01)
    order = taken(turns)
    assert [name for name, _ in order[:8]] == ["a", "b"] * 4
    assert sorted(order) == [(name, index) for name in "ab" for index in range(5)]


def test_a_file_is_read_ahead_and_no_further() -> None:
    read: list[int] = []
    feed = FileFeed("a", Steps(50, read.append), lambda: None)
    feed.start()
    sleep(0.3)
    assert len(read) == READ_AHEAD + 1
    feed.stop(1.0)
    counts = feed.counts.now()
    assert (counts.received, counts.dropped, counts.in_flight) == (READ_AHEAD, {"stopped": READ_AHEAD}, 0)


def test_a_file_that_breaks_gives_what_it_had_and_then_its_reason() -> None:
    def breaking(index: int) -> None:
        if index == 3:
            raise SourceError("gone")

    feed = FileFeed("a", Steps(9, breaking), lambda: None)
    assert taken(begun(feed)) == [("a", 0), ("a", 1), ("a", 2)]
    assert isinstance(feed.failure, SourceError) and feed.status().state is SourceState.ENDED


def test_whoever_waits_for_a_frame_is_woken_by_a_stop() -> None:
    turns = begun(FileFeed("a", Steps(2, lambda index: sleep(5 * index)), lambda: None))
    assert turns.next() is not None
    threading.Timer(0.2, turns.stop).start()
    started = monotonic()
    assert turns.next() is None
    assert monotonic() - started < 2


@pytest.mark.parametrize("count", [0, 1])
def test_a_frame_carries_its_source_and_the_moments_of_its_way(count: int) -> None:
    before = monotonic()
    feed = FileFeed("gate", Steps(count), lambda: None)
    turns = begun(feed)
    if count:
        turn = turns.next()
        assert turn is not None
        frame = turn[1]
        assert frame.source == "gate" and 1e9 * before <= frame.received_ns <= frame.decoded_ns <= 1e9 * monotonic()
    assert turns.next() is None
