"""runtime.camera: only the newest frame is kept, and a lost camera is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import runtime.camera
from fcn_edge.datasets.synthetic import STREET_LABELS
from fcn_edge.errors import SourceError
from fcn_edge.interrupt import Interrupt
from runtime.camera import CameraSource
from runtime.overlay import Overlay
from runtime.segmenter import Segmenter
from runtime.session import FakeSession
from runtime.sinks.video_file import VideoSink
from runtime.sources.opening import open_source
from runtime.stream.stream import run_stream
from tests.runtime.sinks.test_recorder import record, steps, watch
from tests.runtime.sources.test_video import damage

PATIENCE = 20  # seconds; reached only by a test that fails


class Picture:
    """One decoded frame, all of one level."""

    def __init__(self, level: int) -> None:
        self.level = level

    def to_ndarray(self, format: str) -> NDArray[np.uint8]:
        return np.full((4, 6, 3), self.level, np.uint8)


class FakeCamera:
    """A container whose frames are `levels`; then it is silent until unplugged."""

    def __init__(self, levels: list[int], pace: Callable[[], object] = lambda: None) -> None:
        self.streams = SimpleNamespace(video=[SimpleNamespace(average_rate=Fraction(30))])
        self.levels, self.pace = levels, pace
        self.delivered, self.unplugged, self.closed = threading.Event(), threading.Event(), False

    def decode(self, video: int) -> Iterator[Picture]:
        for level in self.levels:
            self.pace()
            yield Picture(level)
        self.delivered.set()  # the reader asks for more: it has put everything so far
        self.unplugged.wait(PATIENCE)

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[object], CameraSource]]:
    """Opens a source on any container; unplugs and closes it after the test."""
    plugged: list[tuple[object, CameraSource]] = []

    def open_on(container: object) -> CameraSource:
        monkeypatch.setattr(runtime.camera, "_open_v4l2", lambda device: container)
        plugged.append((container, CameraSource("/dev/video0")))
        return plugged[-1][1]

    yield open_on
    for container, source in plugged:
        if isinstance(container, FakeCamera):
            container.unplugged.set()
        source.close()


@pytest.mark.parametrize("uri", ["97", "/dev/video97"])
def test_a_camera_that_is_not_there_is_named(uri: str) -> None:
    with pytest.raises(SourceError, match="/dev/video97") as refusal:
        open_source(uri)
    assert "\n" not in str(refusal.value)


def test_newest_frame_replaces_the_waiting_one(plug) -> None:
    camera = FakeCamera([10, 20, 30, 40, 50])
    source = plug(camera)
    assert camera.delivered.wait(PATIENCE)

    frame = next(iter(source))

    assert (int(frame.image[0, 0, 0]), frame.index, source.dropped) == (50, 0, 4)


def test_a_reader_in_time_gets_every_frame(plug) -> None:
    wanted = threading.Semaphore(0)
    source = plug(FakeCamera([10, 20, 30], pace=lambda: wanted.acquire(timeout=PATIENCE)))
    frames, got = iter(source), []
    for _ in range(3):
        wanted.release()
        got.append(next(frames))
    assert [(int(frame.image[0, 0, 0]), frame.index) for frame in got] == [(10, 0), (20, 1), (30, 2)]
    assert source.dropped == 0


def test_frames_carry_the_device_and_the_camera_its_rate(plug) -> None:
    source = plug(FakeCamera([10]))
    assert (next(iter(source)).name, source.rate, source.count) == ("/dev/video0", 30, None)


def test_silence_is_told(plug, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.camera, "SILENT_AFTER_S", 0.05)
    frames = iter(plug(FakeCamera([])))
    with pytest.raises(SourceError, match="/dev/video0: wanted the next frame, found silence"):
        next(frames)


def test_the_end_is_told_after_the_last_frame(plug) -> None:
    camera = FakeCamera([10])
    frames = iter(plug(camera))
    camera.unplugged.set()
    assert next(frames).image[0, 0, 0] == 10
    with pytest.raises(SourceError, match="/dev/video0: wanted the next frame, found its end"):
        next(frames)


def test_a_camera_torn_out_is_told(plug) -> None:
    def torn() -> None:
        raise OSError(19, "No such device")

    with pytest.raises(SourceError, match="found its end"):
        next(iter(plug(FakeCamera([10], pace=torn))))


def test_close_gives_the_camera_back(plug) -> None:
    camera = FakeCamera([10])
    source = plug(camera)
    camera.unplugged.set()
    source.close()
    assert camera.closed


def test_what_a_lost_camera_showed_stays_recorded(plug, tmp_path: Path) -> None:
    wanted = threading.Semaphore(1)
    session = FakeSession(lambda frame: wanted.release() or frame[..., 0] // 32, STREET_LABELS, (4, 6))
    camera = FakeCamera([10, 20, 30], pace=lambda: wanted.acquire(timeout=PATIENCE))
    source = plug(camera)
    camera.unplugged.set()
    sink = VideoSink(tmp_path / "out.mkv", Overlay(STREET_LABELS), "overlay", source.rate)
    with pytest.raises(SourceError, match="found its end"):
        run_stream(source, Segmenter(session), [sink], Interrupt("frame"))
    assert len(watch(tmp_path / "out.mkv").images) + source.dropped == 3


def test_a_damaged_frame_does_not_end_the_camera(plug, tmp_path: Path) -> None:
    source = plug(av.open(str(damage(record(tmp_path / "in.mp4", steps(60)), {20, 30, 31}))))
    seen = 0
    with pytest.raises(SourceError, match="found its end"):
        for _ in source:
            seen += 1
    assert (seen + source.dropped, source.bad) == (57, 3)
