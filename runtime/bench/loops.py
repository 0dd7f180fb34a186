"""The two ways in which frames come: one after the other's mask, or by the clock, whether the model is ready or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, sleep

from runtime.bench.shots import Shots
from runtime.latency import total_ms
from runtime.segmenter import Segmenter

Clock = Callable[[], float]


@dataclass(frozen=True)
class Answer:
    """A mask, and the frames that it answers: its own, and those that made room for it."""

    at_s: float  # when it was ready, since the loop began
    times_ms: Mapping[str, float]  # of the stages of the frame that was segmented
    latencies_ms: Sequence[float]  # of each frame that it answers, the oldest first


def warm_up(
    segmenter: Segmenter,
    shots: Shots,
    frames: int,
    seconds: float,
    is_wished: Callable[[], bool] = lambda: False,
    clock: Clock = perf_counter,
) -> None:
    """Until so many frames are through and so much time is over, or the user wishes to stop."""
    started, done = clock(), 0
    while not is_wished() and (done < frames or clock() - started < seconds):
        segmenter(shots().image)
        done += 1


def closed_loop(segmenter: Segmenter, shots: Shots, clock: Clock = perf_counter) -> Iterator[Answer]:
    """How fast it can go: each frame comes when the last one's mask is there. Never ends."""
    started = clock()
    while True:
        shot = shots()
        times = {**shot.times_ms, **segmenter(shot.image).times_ms}
        yield Answer(clock() - started, times, (total_ms(times),))


def open_loop(
    segmenter: Segmenter,
    shots: Shots,
    rate: float,
    frames: int,
    clock: Clock = perf_counter,
    sleep: Callable[[float], None] = sleep,
) -> Iterator[Answer]:
    """What a camera's frames would suffer: frame k is due k / `rate` seconds after the start, for `frames` frames.

    As in a stream, the model takes the newest frame that is due, and older ones are dropped for it. Each frame's
    latency counts from when it was due to the first mask that is of it or of a newer frame: how long a viewer waits to
    see what has happened by then. So no frame is left out, and those that came while the model paused tell the pause
    with their own waiting ("coordinated omission" is what leaves them out: Tene, "How not to measure latency").
    `wait` is what the segmented frame waited, the sleeping thread's way back to work included.
    """
    started, first = clock(), 0
    while first < frames:
        sleep(max(0.0, started + first / rate - clock()))
        taken = clock()
        newest = min(max(first, int((taken - started) * rate)), frames - 1)
        waited_ms, shot = 1e3 * (taken - started - newest / rate), shots()
        times = {"wait": waited_ms, **shot.times_ms, **segmenter(shot.image).times_ms}
        done = clock() - started
        yield Answer(done, times, [1e3 * (done - number / rate) for number in range(first, newest + 1)])
        first = newest + 1
