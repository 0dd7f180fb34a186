"""runtime.stream.measures: windows that forget, a minute that is told by the second, and a whole that does not grow."""

from __future__ import annotations

import pytest

from runtime.stream.measures import HISTORY_S, MOST_SAMPLES, Measures


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ticked(measures: Measures, clock: Clock, seconds: int, fps: int = 10) -> None:
    for _ in range(seconds * fps):
        clock.now += 1 / fps
        measures.add({"decode": 1.0, "infer": 2.0})
        measures.segmented(30.0)


def test_the_window_forgets_what_is_older_than_ten_seconds() -> None:
    clock = Clock()
    measures = Measures(clock)
    measures.add({"infer": 900.0})
    ticked(measures, clock, 11)
    assert measures.stages_ms()["infer"].p99 == 2.0
    assert measures.stages_ms()["infer"].n == pytest.approx(100, abs=1)
    clock.now += 20
    assert measures.stages_ms() == {} and measures.age_ms("mask").n == 0
    assert measures.segmented_fps() == 0


def test_frames_per_second_are_right_from_the_first_second_on() -> None:
    clock = Clock()
    measures = Measures(clock)
    ticked(measures, clock, 2)
    assert measures.segmented_fps() == pytest.approx(10, rel=0.1)
    ticked(measures, clock, 20)
    assert measures.segmented_fps() == pytest.approx(10, rel=0.05)


def test_the_history_is_a_minute_of_whole_seconds_oldest_first() -> None:
    clock = Clock()
    measures = Measures(clock)
    ticked(measures, clock, 90)
    measures.dropped(3)
    history = measures.history()
    assert [second.ago_s for second in history] == sorted((second.ago_s for second in history), reverse=True)
    assert len(history) in (HISTORY_S - 1, HISTORY_S) and history[-1].ago_s == 1
    assert history[5].stages_ms == {"decode": 1.0, "infer": 2.0} and history[5].age_ms == 30.0
    assert history[5].segmented == pytest.approx(10, abs=1)


def test_the_whole_has_every_sample_and_the_ages_beside_the_stages() -> None:
    clock = Clock()
    measures = Measures(clock)
    ticked(measures, clock, 90)
    measures.on_wire(45.0)
    summary = measures.summary()
    assert summary["infer"]["n"] == summary["frame to mask"]["n"] == 900
    assert summary["frame to mask"]["p99"] == pytest.approx(30, rel=0.02)
    assert summary["frame to wire"]["n"] == 1 and summary["frame to wire"]["p99"] is None


def test_a_file_has_no_ages() -> None:
    measures = Measures()
    measures.segmented(None)
    assert measures.summary() == {}


def size_of(measures: Measures) -> int:
    windows = [*measures._window.values(), *measures._ages.values(), measures._seconds, measures._moments]
    return sum(map(len, windows))


def test_memory_does_not_grow_with_time() -> None:
    clock = Clock()
    measures = Measures(clock)
    ticked(measures, clock, 1, fps=MOST_SAMPLES + 10)
    ticked(measures, clock, 70)
    before = size_of(measures)
    ticked(measures, clock, 700)
    assert size_of(measures) <= before
