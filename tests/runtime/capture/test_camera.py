"""runtime.capture.camera: pictures come newest first, and whatever a camera does, they come again."""

from __future__ import annotations

import os
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fcn_edge.errors import SourceError
from runtime.capture.camera import Camera
from runtime.capture.limits import Limits
from runtime.sources.address import read_address
from runtime.sources.frame import Frame
from runtime.stream.counts import FrameCounts
from runtime.stream.status import SourceState
from tests.runtime.capture.readers import FACTORY
from tests.runtime.capture.watching import SHORT, children, code, conserves, is_running, states, until, watched

AT = "http://camera"
CONNECTING, STREAMING, STALLED, BACKOFF, ENDED = SourceState


def next_frame(camera: Camera) -> Frame:
    frames: list[Frame] = []

    def take() -> bool:
        frame = camera.take()
        if frame:
            frames.append(frame)
        return bool(frames)

    until(take)
    return frames[0]


def test_frames_carry_their_moments_and_their_source() -> None:
    with watched(f"{AT}/steady") as camera:
        first, second = next_frame(camera), next_frame(camera)
    assert (first.image.shape, first.index, first.name, first.source) == ((24, 32, 3), 0, "front", "front")
    assert second.index == 1 and first.time is not None and second.time is not None and first.time < second.time
    assert 0 < first.received_ns <= first.decoded_ns < time.monotonic_ns()


def test_a_frame_stays_as_it_is_while_others_come() -> None:
    with watched(f"{AT}/numbered") as camera:
        kept = next_frame(camera)
        copy = kept.image.copy()
        for _ in range(20):
            next_frame(camera)
    assert np.array_equal(kept.image, copy)


def test_no_frame_is_ever_torn() -> None:
    with watched(f"{AT}/numbered") as camera:
        levels = [np.unique(next_frame(camera).image) for _ in range(100)]
        assert camera.status().connects == 1
    assert [len(level) for level in levels] == [1] * 100


def test_newest_frame_replaces_the_waiting_one() -> None:
    with watched(f"{AT}/steady?count=20&finite=1") as camera:
        until(lambda: camera.status().state is ENDED)
        frame = camera.take()
        assert frame is not None and int(frame.image[0, 0, 0]) == 19
        assert camera.counts.now().dropped == {"overwritten": 19}
        assert camera.take() is None


def test_a_reader_that_floods_is_counted_to_the_last_picture() -> None:
    taken = 0
    with watched(f"{AT}/flood?count=3000&finite=1") as camera:
        while not camera.is_over:
            taken += camera.take() is not None
    assert camera.counts.now().received == 3000
    assert conserves(camera, taken)


def test_a_finite_source_is_over_when_its_last_frame_is_taken() -> None:
    with watched(f"{AT}/steady?count=3&finite=1") as camera:
        until(lambda: camera.status().state is ENDED)
        assert not camera.is_over
        assert camera.take() is not None
        assert camera.is_over and camera.failure is None


def test_news_is_told() -> None:
    news = threading.Event()
    with watched(f"{AT}/steady?rate=10", arrived=news.set) as camera:
        for _ in range(5):
            assert news.wait(15)
            news.clear()
            camera.take()


def test_the_rate_is_what_comes_not_what_is_announced() -> None:
    with watched(f"{AT}/steady?rate=20") as camera:
        until(lambda: (camera.status().rate or 0) > 10 and camera.status().counts.received > 40)
        assert 10 < (camera.status().rate or 0) < 22
        assert camera.status().size_hw == (24, 32)


@pytest.mark.parametrize("kind", ["steady?count=5", "crashing", "crashing?by=9"])
def test_a_camera_that_is_lost_is_connected_anew(kind: str) -> None:
    with watched(f"{AT}/{kind}", SHORT) as camera:
        until(lambda: camera.status().connects >= 3)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("steady?count=5", "CLOSED"),
        ("crashing", "CAPTURE_CRASHED"),
        ("crashing?by=9", "CAPTURE_CRASHED"),
        ("refused", "CONNECTION_FAILED"),
        ("unanswered", "TIMEOUT"),
        ("silent", "TIMEOUT"),
        ("silent?count=3", "NO_SIGNAL"),
        ("spoiled?bad=10", "BAD_PICTURES"),
        ("spoiled_only", "BAD_PICTURES"),
        ("raising", "READER_FAILED"),
    ],
)
def test_why_it_was_given_up_is_told(kind: str, expected: str) -> None:
    with watched(f"{AT}/{kind}", SHORT, retry=False) as camera:
        until(lambda: camera.status().state is ENDED)
    assert code(camera) == expected
    assert isinstance(camera.failure, SourceError)
    assert str(camera.failure).startswith(f"wanted pictures, found {AT}/{kind}: ")
    assert "\n" not in str(camera.failure)


def test_a_crash_is_named_by_its_signal() -> None:
    with watched(f"{AT}/crashing", SHORT, retry=False) as camera:
        until(lambda: camera.status().state is ENDED)
    assert "SIGSEGV" in str(camera.failure)


def test_what_a_crashed_child_printed_is_told_without_passwords(capfd: pytest.CaptureFixture[str]) -> None:
    with watched(f"{AT}/crashing", SHORT, retry=False) as camera:
        until(lambda: camera.status().state is ENDED)
    assert "front: about to crash at rtsp://***@camera/" in capfd.readouterr().err


def test_what_it_prints_again_and_again_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    with watched(f"{AT}/crashing", SHORT) as camera:
        until(lambda: camera.status().connects >= 4)
    assert capfd.readouterr().err.count("about to crash") == 1


def test_no_password_is_told_anywhere(capfd: pytest.CaptureFixture[str]) -> None:
    with watched("http://user:hunter2@camera/raising", SHORT, retry=False) as camera:
        until(lambda: camera.status().state is ENDED)
    told = f"{camera.status()} {camera.failure} {capfd.readouterr()}"
    assert "RuntimeError" in told and "hunter2" not in told


def test_no_password_stands_in_a_command_line() -> None:
    with watched("http://user:hunter2@camera/steady") as camera:
        until(lambda: camera.status().state is STREAMING)
        lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in children()]
    assert any(b"camera/steady" in line for line in lines)
    assert not any(b"hunter2" in line for line in lines)


def test_a_silent_camera_is_stalled_and_then_connected_anew(tmp_path: Path) -> None:
    back = tmp_path / "back"
    with watched(f"{AT}/once_silent?until={back}", SHORT) as camera:
        seen = states(camera, lambda seen: STALLED in seen)
        assert seen[-2:] == [STREAMING, STALLED] and code(camera) == "NO_SIGNAL"
        back.touch()
        states(camera, lambda seen: seen[-1] is STREAMING)
        assert camera.status().reason is None and camera.status().connects >= 2


def test_a_camera_that_appears_later_is_found(tmp_path: Path) -> None:
    there = tmp_path / "there"
    with watched(f"{AT}/absent?until={there}", SHORT) as camera:
        until(lambda: camera.status().attempts >= 3)
        assert camera.status().connects == 0 and code(camera) == "CONNECTION_FAILED"
        there.touch()
        until(lambda: camera.status().state is STREAMING)
        assert (camera.status().attempts, camera.status().connects, code(camera)) == (0, 1, None)


def test_with_the_usual_limits_a_camera_is_back_within_15_seconds_of_a_silent_stall(tmp_path: Path) -> None:
    back = tmp_path / "back"
    with watched(f"{AT}/once_silent?until={back}") as camera:
        until(lambda: camera.counts.now().received >= 3)
        back.touch()
        started_s = time.monotonic()
        until(lambda: camera.counts.now().received > 3, 30)
        assert time.monotonic() - started_s < 15


def test_a_few_spoiled_pictures_are_counted_and_forgiven() -> None:
    with watched(f"{AT}/spoiled?bad=9") as camera:
        until(lambda: camera.counts.now().bad.get("truncated", 0) >= 27)
        assert camera.status().connects == 1


def test_spoiled_pictures_alone_end_a_connection_after_a_while() -> None:
    limits = Limits(bad_in_a_row=10_000, bad_s=0.5, stall_s=60, pause_s=0.2)
    with watched(f"{AT}/spoiled?bad=10000", limits, retry=False) as camera:
        seen = states(camera, lambda seen: seen[-1] is ENDED)
    assert seen[-2:] == [STALLED, ENDED] and code(camera) == "BAD_PICTURES"


def test_spoiled_pictures_before_the_first_good_one_do_not_end_a_connection() -> None:
    with watched(f"{AT}/spoiled_only", Limits(connect_s=60)) as camera:
        until(lambda: camera.counts.now().bad.get("undecodable", 0) > 20)
        assert (camera.status().state, camera.status().attempts) == (CONNECTING, 1)


def test_a_size_may_change_with_every_frame() -> None:
    shapes = set()
    with watched(f"{AT}/changing") as camera:
        for _ in range(12):
            shapes.add(next_frame(camera).image.shape)
        assert camera.status().connects == 1
    assert shapes == {(24, 32, 3), (48, 64, 3), (7, 5, 3)}


def test_a_picture_of_more_than_50_megapixels_is_spoiled() -> None:
    with watched(f"{AT}/changing?huge=1") as camera:
        until(lambda: camera.counts.now().bad.get("too_large", 0) >= 3)
        assert next_frame(camera).image.shape[0] < 100
        assert camera.status().connects == 1


def test_a_frozen_picture_is_told_and_left_alone() -> None:
    with watched(f"{AT}/frozen", SHORT) as camera:
        until(lambda: code(camera) == "FROZEN")
        assert camera.status().state is STREAMING
        time.sleep(2)
        assert (code(camera), camera.status().connects) == ("FROZEN", 1)


def test_a_frozen_picture_is_connected_anew_where_that_is_wished() -> None:
    limits = Limits(frozen_s=0.8, retry_most_s=0.5, restart_on_frozen=True)
    with watched(f"{AT}/frozen", limits) as camera:
        until(lambda: camera.status().connects >= 3)


def test_a_picture_that_moves_is_not_frozen() -> None:
    with watched(f"{AT}/steady", Limits(frozen_s=0.7)) as camera:
        until(lambda: camera.counts.now().received >= 150)
        assert code(camera) is None


@pytest.mark.parametrize("kind", ["steady", "silent", "silent?count=3", "unanswered", "deaf", "refused", "flood"])
def test_it_stops_in_every_state_and_leaves_nothing(kind: str) -> None:
    with watched(f"{AT}/{kind}") as camera:
        until(lambda: children() or camera.status().state is BACKOFF)
        time.sleep(0.5)
        started_s = time.monotonic()
        camera.stop(3.0)
        assert time.monotonic() - started_s < 3
        assert camera.status().state is ENDED and camera.failure is None
        assert not children()
        assert camera.is_over and conserves(camera, 0)


def test_it_can_be_stopped_before_it_was_started() -> None:
    camera = Camera("front", read_address(f"{AT}/steady"), FrameCounts(), lambda: None, factory=FACTORY)
    camera.stop(1.0)
    assert camera.take() is None


def test_a_child_that_ignores_sigterm_is_killed() -> None:
    limits = Limits(connect_s=60, pause_s=0.2, stall_s=1.0, grace_s=0.2, retry_most_s=0.5)
    with watched(f"{AT}/deaf?count=3", limits) as camera:
        until(lambda: camera.status().state is STREAMING)
        (pid,) = children()
        os.kill(pid, signal.SIGSTOP)  # now it is silent as well
        until(lambda: not is_running(pid))
        until(lambda: camera.status().connects >= 2)


def test_a_reader_closes_its_camera_when_it_is_told_to_stop(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    with watched(f"{AT}/steady?closed={closed}") as camera:
        until(lambda: camera.status().state is STREAMING)
    assert closed.read_text() == "closed"


def test_what_a_reader_has_started_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with watched(f"{AT}/parent?pid={note}", SHORT) as camera:
        until(lambda: camera.status().state is STREAMING)
        grandchild = int(note.read_text())
        (pid,) = children() - {grandchild}
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_running(grandchild))
        until(lambda: camera.status().connects >= 2)
        grandchild = int(note.read_text())
    assert not is_running(grandchild)


@pytest.mark.filterwarnings("ignore:subprocess:ResourceWarning")
def test_a_child_that_outlives_sigkill_is_not_waited_for_and_goes_when_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that waits for a broken driver."""
    monkeypatch.setattr("runtime.capture.process.CaptureProcess._signal", lambda process, number: None)
    with watched(f"{AT}/steady", SHORT) as camera:
        until(lambda: camera.status().state is STREAMING)
        started_s = time.monotonic()
        camera.stop(3.0)
        assert time.monotonic() - started_s < 3
    until(lambda: not children())


def test_time_goes_on_over_a_lost_connection() -> None:
    with watched(f"{AT}/steady?count=5", SHORT) as camera:
        times = [next_frame(camera).time for _ in range(8)]
        assert camera.status().connects >= 2
    assert all(earlier < later for earlier, later in pairwise(times))  # type: ignore[operator]


def test_what_a_crashed_child_had_told_is_counted_to_the_last_picture() -> None:
    with watched(f"{AT}/crashing?count=7", retry=False) as camera:
        until(lambda: camera.status().state is ENDED)
        assert camera.counts.now().received == 7
        assert conserves(camera, taken=camera.take() is not None)


def test_frames_are_counted_exactly_over_many_connections() -> None:
    taken = 0
    with watched(f"{AT}/crashing?count=5", SHORT) as camera:
        while camera.status().connects < 4:
            taken += camera.take() is not None
            time.sleep(0.003)
    assert camera.counts.now().received >= 3 * 5
    assert conserves(camera, taken)


def test_a_system_without_a_process_to_give_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*words: object, **options: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr("runtime.capture.process.subprocess.Popen", refuse)
    before = len(os.listdir("/proc/self/fd"))
    with watched(f"{AT}/steady", SHORT) as camera:
        until(lambda: camera.status().attempts >= 3)
        assert code(camera) == "NO_PROCESS"
    assert len(os.listdir("/proc/self/fd")) == before
