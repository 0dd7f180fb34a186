"""runtime.capture.v4l2_reader, on FFmpeg's drawn device in place of a camera: nothing here has seen a real one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from runtime.capture.failure import CaptureFailure
from runtime.capture.limits import Limits
from runtime.capture.reader import Picture, open_reader
from runtime.capture.v4l2_reader import V4l2Reader, v4l2_options
from runtime.sources.address import read_address
from runtime.sources.wishes import Wishes

CAMERA = read_address("/dev/video0")


def drawn(spec: str) -> V4l2Reader:
    return V4l2Reader(CAMERA, av.open(spec, format="lavfi"))


def stamped(moments_s: list[float]) -> V4l2Reader:
    """Pictures whose driver says when it had them."""

    def packets(stream: Any) -> Iterator[Any]:
        for moment in moments_s:
            frame = av.VideoFrame.from_ndarray(np.zeros((4, 6, 3), np.uint8), format="bgr24")
            frame.pts, frame.time_base = int(moment * 1e6), Fraction(1, 1_000_000)
            yield SimpleNamespace(pts=frame.pts, size=1, is_keyframe=True, decode=lambda frame=frame: [frame])

    codec = SimpleNamespace(name="rawvideo", flags=0)
    stream = SimpleNamespace(codec_context=codec, average_rate=Fraction(30), guessed_rate=None, time_base=None)
    streams = SimpleNamespace(video=[stream])
    return V4l2Reader(CAMERA, SimpleNamespace(streams=streams, demux=packets, duration=None, close=lambda: None))


def until_lost(reader: V4l2Reader) -> tuple[list[Picture], CaptureFailure]:
    came: list[Picture] = []
    with pytest.raises(CaptureFailure) as lost:
        for one in reader:
            assert isinstance(one, Picture)
            came.append(one)
    reader.close()
    return came, lost.value


@pytest.mark.parametrize("form", ["yuyv422", "yuv420p", "bgr24"])
def test_raw_pictures_are_read_until_the_camera_is_gone(form: str) -> None:
    came, lost = until_lost(drawn(f"testsrc=size=320x240:rate=20:duration=0.5,format={form}"))
    assert len(came) == 10
    assert came[0].image.shape == (240, 320, 3) and (came[0].image != came[-1].image).any()
    assert (lost.code, "gone" in lost.text) == ("NO_DEVICE", True)


def test_its_rate_is_told_and_its_end_is_a_fault() -> None:
    reader = drawn("testsrc=rate=15")
    assert (reader.rate, reader.finite) == (15.0, False)
    reader.close()


def test_a_pictures_age_counts_from_when_the_driver_had_it() -> None:
    moment = time.monotonic() - 0.4
    [picture], _ = until_lost(stamped([moment]))
    assert picture.received_ns == pytest.approx(moment * 1e9, abs=2000)


@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_a_driver_with_a_clock_of_its_own_is_not_believed(ahead_s: float) -> None:
    before = time.monotonic_ns()
    [picture], _ = until_lost(stamped([max(0.0, time.monotonic() + ahead_s)]))
    assert picture.received_ns >= before


@pytest.mark.parametrize(
    ("wishes", "options"),
    [
        (Wishes(), {}),
        (
            Wishes((720, 1280), 30.0, "mjpeg"),
            {"video_size": "1280x720", "framerate": "30", "input_format": "mjpeg"},
        ),
        (Wishes(rate=7.5), {"framerate": "7.5"}),
    ],
)
def test_wishes_are_said_in_ffmpegs_words(wishes: Wishes, options: dict[str, str]) -> None:
    assert v4l2_options(wishes) == options


def test_a_camera_that_is_not_there_is_named_with_a_cure() -> None:
    with pytest.raises(CaptureFailure) as lost:
        open_reader(read_address("/dev/video97"), Limits())
    assert lost.value.code == "NO_DEVICE"
    assert "/dev/video97" in lost.value.text and "fcn-edge sources" in lost.value.cure
