"""runtime.stream, of cameras: the newest frame wins, every drop has its cause, and what fails is survived."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic, sleep

import numpy as np
import pytest

from fcn_edge.errors import DeviceError, ModelError, OutputError
from runtime.sinks.disk_space import DiskFull
from runtime.sinks.sink import Segmented, SinkBase, Times
from runtime.sources.frame import Frame
from runtime.stream.outlet import Outlet
from runtime.stream.status import Status, StreamState
from runtime.stream.stream import StreamOptions
from tests.runtime.sinks.test_recorder import steps
from tests.runtime.stream.streaming import Witness, blue, fake, live_stream, run_for

Infer = Callable[[np.ndarray], np.ndarray]


def slow(seconds: float) -> Infer:
    def infer(frame: np.ndarray) -> np.ndarray:
        sleep(seconds)
        return blue(frame)

    return infer


def ages(witness: Witness) -> list[float]:
    return [one.age_ms for one in witness.got]


def test_a_model_ten_times_slower_than_the_camera_never_sees_an_old_frame() -> None:
    witness = Witness()
    report = run_for(live_stream(fake(slow(0.1)), [witness], fps=[100]), 2.0)
    assert report.received == report.segmented + sum(report.dropped.values()) > 100
    assert report.unaccounted == 0 and report.dropped["overwritten"] > 5 * report.segmented
    first, last = ages(witness)[1:6], ages(witness)[-5:]
    assert max(ages(witness)) < 500
    assert np.median(last) < np.median(first) + 50, "the age grows"


def test_a_frame_that_waited_too_long_is_dropped_as_stale() -> None:
    stream = live_stream(fake(), fps=[50], options=StreamOptions(most_age_s=0.0))
    report = run_for(stream, 0.5)
    assert report.segmented == 0 and report.dropped["stale"] > 5 and report.unaccounted == 0


def test_a_fast_camera_does_not_starve_a_slow_one() -> None:
    report = run_for(live_stream(fake(slow(0.02)), fps=[500, 5]), 2.0)
    fast, slow_one = report.counts
    assert slow_one.segmented >= slow_one.received - 2 > 5
    assert fast.segmented > slow_one.segmented


def test_a_rate_can_be_asked_for_and_gets_the_newest_frames() -> None:
    witness = Witness()
    report = run_for(live_stream(fake(), [witness], fps=[100], options=StreamOptions(most_fps=10)), 2.0)
    assert 12 <= report.segmented <= 22
    assert np.median(ages(witness)) < 60


def failing(at: set[int], error: Exception) -> Infer:
    calls: list[int] = []

    def infer(frame: np.ndarray) -> np.ndarray:
        calls.append(1)
        if len(calls) in at:
            raise error
        return blue(frame)

    return infer


def test_a_model_that_fails_on_one_frame_goes_on_with_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    stream = live_stream(fake(failing({3, 7, 8}, ValueError("odd frame"))))
    report = run_for(stream, 0.7)
    assert report.dropped["model"] == 3 and report.segmented > 10 and report.unaccounted == 0
    assert capsys.readouterr().err.count("ValueError: odd frame") == 3


def test_a_model_that_always_fails_asks_for_a_restart() -> None:
    witness = Witness()
    with pytest.raises(DeviceError, match="5 failures of the model in a row, the last: broken"):
        run_for(live_stream(fake(failing(set(range(4, 99)), ValueError("broken"))), [witness]), 20)
    assert len(witness.seen) == 3 and witness.end == ["finished", "closed"]


def test_a_model_that_always_gives_unknown_classes_is_refused_and_not_restarted() -> None:
    with pytest.raises(ModelError, match="class"):
        run_for(live_stream(fake(lambda frame: np.full(frame.shape[:2], 77, np.uint8))), 20)


def test_a_viewer_who_closes_the_window_ends_the_stream_though_no_frame_comes() -> None:
    witness = Witness()
    stream = live_stream(fake(), [witness], fps=[0.01])
    threading.Timer(0.5, stream.end).start()
    started = monotonic()
    run_for(stream, 20)
    assert monotonic() - started < 5 and witness.end == ["finished", "closed"]


def test_a_gpu_that_fails_ends_the_stream_at_once_and_keeps_what_was_recorded() -> None:
    witness = Witness()
    with pytest.raises(DeviceError, match="fell off"):
        run_for(live_stream(fake(failing({4}, DeviceError("it fell off"))), [witness]), 20)
    assert len(witness.seen) == 3 and witness.end == ["finished", "closed"]


def test_a_slow_sink_loses_old_frames_and_holds_up_nobody() -> None:
    slow_sink, quick = Witness(seconds=0.2), Witness()
    stream = live_stream(fake(), [slow_sink, quick])
    report = run_for(stream, 2.0)
    assert 0.9 * report.segmented < len(quick.seen) and report.segmented > 50
    assert len(slow_sink.seen) < 20
    status = {sink.name: sink for sink in stream.status().sinks}
    assert [sink.written + sink.dropped for sink in status.values()] == [report.segmented] * 2
    assert [(sink.name, sink.written) for sink in report.sinks] == [
        ("sink 0", len(slow_sink.seen)),
        ("sink 1", len(quick.seen)),
    ]


class Flaky(Witness):
    """Opened anew after each failure; it fails until `works` is true."""

    works = False

    def write(self, segmented: Segmented) -> Times:
        if not self.works:
            raise DiskFull("rec: wanted 1.00 GB of free space on this disk, found 0.20 GB; delete something")
        return super().write(segmented)


def test_a_sink_that_fails_is_opened_anew_until_it_works_and_degrades_the_stream_meanwhile() -> None:
    opened: list[Flaky] = []

    def open_flaky() -> Flaky:
        opened.append(Flaky())
        return opened[-1]

    def watch(status: Status) -> None:
        seen.append(status)
        Flaky.works = len(seen) >= 2

    seen: list[Status] = []
    stream, quick = live_stream(fake(), options=StreamOptions(ticks=(watch,))), Witness()
    stream.outlets.append(Outlet("disk", open_flaky, live=True, open_again_s=0.2))
    stream.add_sink("quick", lambda: quick)

    try:
        report = run_for(stream, 3.6)
    finally:
        Flaky.works = False
    assert seen[0].state is StreamState.DEGRADED and seen[0].reasons[0].code == "DISK_FULL"
    assert seen[-1].state is StreamState.RUNNING and not seen[-1].reasons
    assert 2 < len(opened) < 30 and opened[-1].seen and opened[-1].end == ["finished", "closed"]
    assert all(sink.end == ["closed"] for sink in opened[:-1])
    assert len(quick.seen) > 0.9 * report.segmented


def test_a_disk_that_is_full_at_the_start_is_waited_for() -> None:
    def open_full() -> Witness:
        if not opened:
            opened.append(Witness())
            raise DiskFull("rec: wanted 1.00 GB of free space on this disk, found 0.20 GB; delete something")
        return opened[0]

    opened: list[Witness] = []
    stream = live_stream(fake())
    stream.outlets.append(Outlet("rec", open_full, live=True, open_again_s=0.3))
    assert [reason.code for reason in stream.status().reasons] == ["DISK_FULL"]
    run_for(stream, 1.0)
    assert opened[0].seen and opened[0].end == ["finished", "closed"]


def test_a_file_is_refused_where_the_disk_is_full_at_the_start() -> None:
    def open_full() -> Witness:
        raise DiskFull("full")

    with pytest.raises(OutputError, match="full"):
        Outlet("out.mkv", open_full, live=False)


def test_a_sink_that_is_left_alone_for_a_while_is_not_stuck() -> None:
    """Its camera gives one more frame, which is lost, and then falls silent."""
    written, failed = Segmented(Frame(steps(1)[0], 0, "a"), steps(1)[0][..., 0], {}), Flaky()
    outlet = Outlet("disk", lambda: failed, live=True, stuck_s=0.05, open_again_s=60)
    for _ in range(2):
        outlet.put(written)
    sleep(0.3)
    status = outlet.status()
    outlet.end()
    assert outlet.drain(5)
    assert (status.state, status.dropped, status.waiting) == ("failed", 2, 0)


def test_a_sink_that_does_not_come_back_is_stuck() -> None:
    class Held(SinkBase):
        def write(self, segmented: Segmented) -> Times:
            assert leave.wait(10)
            return {}

    leave = threading.Event()
    outlet = Outlet("share", Held, live=True, stuck_s=0.05)
    outlet.put(Segmented(Frame(steps(1)[0], 0, "a"), steps(1)[0][..., 0], {}))
    sleep(0.3)
    status = outlet.status()
    leave.set()
    outlet.end()
    assert outlet.drain(5)
    assert status.state == "stuck" and status.reason and status.reason.code == "SINK_STUCK"


def test_a_sink_that_does_not_open_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_for_ever() -> Witness:
        sleep(60)
        return Witness()

    monkeypatch.setattr("runtime.stream.outlet.OPEN_WITHIN_S", 0.2)
    quick, stream = Witness(), live_stream(fake())
    stream.add_sink("pipe", open_for_ever)
    stream.add_sink("quick", lambda: quick)
    report = run_for(stream, 0.5)
    assert quick.seen and report.abandoned == ["the sink pipe"]


def test_a_sink_that_cannot_be_opened_after_all_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_late() -> Witness:
        opened.append(Witness())
        if len(opened) == 1:
            sleep(0.5)
            raise OutputError("the share is gone")
        return opened[-1]

    monkeypatch.setattr("runtime.stream.outlet.OPEN_WITHIN_S", 0.2)
    opened: list[Witness] = []
    stream = live_stream(fake())
    stream.outlets.append(Outlet("share", open_late, live=True, open_again_s=0.2))
    run_for(stream, 1.5)
    assert len(opened) == 2 and opened[1].seen


class Stuck(SinkBase):
    """A network share that is gone: its first write never comes back."""

    def write(self, segmented: Segmented) -> Times:
        sleep(60)
        return {}


def test_a_sink_that_hangs_is_left_behind_within_five_seconds() -> None:
    quick = Witness()
    stream = live_stream(fake(), [Stuck(), quick])
    started = monotonic()
    report = run_for(stream, 0.5)
    assert monotonic() - started < 5.5
    assert report.abandoned == ["the sink sink 0"]
    assert quick.end == ["finished", "closed"]


def test_a_model_that_hangs_is_left_behind_within_five_seconds() -> None:
    quick = Witness()
    started = monotonic()
    report = run_for(live_stream(fake(slow(60)), [quick]), 0.5)
    assert monotonic() - started < 5.5
    assert report.abandoned == ["the model"] and quick.end == ["finished", "closed"]


def test_status_may_be_asked_at_any_moment() -> None:
    stream = live_stream(fake(), [Witness()], fps=[100, 30])
    assert stream.status().state is StreamState.STARTING
    run_for(stream, 1.5)
    status = stream.status()
    told = status.to_json()
    assert status.state is StreamState.STOPPING
    assert [source["name"] for source in told["sources"]] == ["camera 0", "camera 1"]
    assert list(status.stages_ms) == ["decode", "wait", "resize", "infer", "restore"]
    assert status.age_at_mask_ms.n > 50 and status.segmented_fps > 50
    assert sum(told["sources"][0]["class_shares"].values()) == pytest.approx(1)


def test_every_frame_is_accounted_for_however_often_it_is_asked() -> None:
    in_flight: list[int] = []

    def watch(status: Status) -> None:
        in_flight.extend(feed.counts.now().in_flight for feed in stream.feeds)

    stream = live_stream(fake(slow(0.003)), fps=[300, 100], options=StreamOptions(ticks=(watch,) * 50))
    report = run_for(stream, 2.2)
    assert in_flight and all(0 <= count <= 2 for count in in_flight)
    assert report.unaccounted == 0
