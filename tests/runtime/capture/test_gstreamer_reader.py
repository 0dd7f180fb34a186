"""runtime.capture.gstreamer_reader, on GStreamer's drawn source in place of a Jetson's sensor."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.capture.failure import CaptureFailure
from runtime.capture.gstreamer_reader import GStreamerReader, argus_elements, gstreamer_failure, open_csi
from runtime.capture.limits import Limits
from runtime.capture.reader import Picture
from runtime.sources.address import read_address
from tests.runtime.capture.watching import children, until

CSI = read_address("csi://0")
CAPS = "video/x-raw,format=BGRx,width=160,height=120"
needs_gstreamer = pytest.mark.skipif(not shutil.which("gst-launch-1.0"), reason="no gstreamer1.0-tools")


@contextmanager
def drawn(source: str, caps: str = f"{CAPS},framerate=50/1") -> Iterator[GStreamerReader]:
    reader = GStreamerReader(CSI, f"{source} ! {caps}".split(), (120, 160))
    try:
        yield reader
    finally:
        reader.close()


def until_lost(reader: GStreamerReader) -> tuple[int, CaptureFailure]:
    count = 0
    with pytest.raises(CaptureFailure) as lost:
        for _ in reader:
            count += 1
    return count, lost.value


@needs_gstreamer
def test_pictures_come_whole_and_in_blue_green_red() -> None:
    with drawn("videotestsrc is-live=true pattern=blue") as reader:
        for picture, _ in zip(reader, range(5), strict=False):
            assert isinstance(picture, Picture)
            assert picture.image.shape == (120, 160, 3)
            assert (picture.image[..., 0] > 250).all() and (picture.image[..., 1:] < 5).all()
            assert 0 <= time.monotonic_ns() - picture.received_ns < 1_000_000_000


@needs_gstreamer
def test_what_is_not_read_in_time_is_dropped_there() -> None:
    """After half a second away, no more comes at once than lay in the queue and the pipe."""
    with drawn("videotestsrc is-live=true") as reader:
        pictures = iter(reader)
        next(pictures)
        time.sleep(0.5)
        start = time.monotonic()
        for _ in range(10):
            next(pictures)
        assert time.monotonic() - start > 0.05  # ten at once would be those of the half second


@needs_gstreamer
def test_the_end_of_the_stream_is_told_after_its_last_picture() -> None:
    with drawn("videotestsrc num-buffers=3 is-live=true") as reader:
        count, lost = until_lost(reader)
    assert 1 <= count <= 3 and lost.code == "CLOSED"


@needs_gstreamer
@pytest.mark.parametrize(
    ("source", "code"),
    [("videotestsrc ! nosuchelement", "PROGRAM_MISSING"), ("videotestsrc ! jpegdec", "MODE_UNSUPPORTED")],
)
def test_a_pipeline_that_cannot_be_is_told(source: str, code: str) -> None:
    with drawn(source) as reader:
        assert until_lost(reader)[1].code == code


@needs_gstreamer
@pytest.mark.skipif(Path("/etc/nv_tegra_release").exists(), reason="this Jetson has the element")
def test_elsewhere_than_on_a_jetson_it_says_so() -> None:
    reader = open_csi(CSI, Limits())
    _, lost = until_lost(reader)
    reader.close()
    assert lost.code == "NO_DEVICE" and "Jetson" in lost.text


@needs_gstreamer
def test_a_launcher_that_is_killed_is_told() -> None:
    before = children()
    with drawn("videotestsrc is-live=true") as reader:
        pictures = iter(reader)
        next(pictures)
        [launcher] = children() - before
        os.kill(launcher, signal.SIGKILL)
        with pytest.raises(CaptureFailure):
            for _ in pictures:
                pass


@needs_gstreamer
@pytest.mark.parametrize("stopped", [False, True], ids=["running", "wedged"])
def test_nothing_is_left_when_it_is_closed(stopped: bool) -> None:
    before = children()
    with drawn("videotestsrc is-live=true") as reader:
        next(iter(reader))
        [launcher] = children() - before
        if stopped:
            os.kill(launcher, signal.SIGSTOP)
    until(lambda: children() == before)


def test_a_machine_without_gstreamer_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(CaptureFailure) as lost:
        open_csi(CSI, Limits())
    assert (lost.value.code, "apt-get install" in lost.value.cure) == ("PROGRAM_MISSING", True)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("csi://0", ["sensor-id=0", "width=1280,height=720", "framerate=30/1"]),
        ("csi://2?size=1080x1920&rate=60", ["sensor-id=2", "width=1920,height=1080", "framerate=60/1"]),
        ("csi://0?rate=29.97", ["framerate=30000/1001"]),
    ],
)
def test_the_sensor_is_asked_for_what_was_wished(uri: str, words: list[str]) -> None:
    elements, _ = argus_elements(read_address(uri))
    assert elements[0] == "nvarguscamerasrc"
    for word in words:
        assert word in " ".join(elements)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Error generated. gstnvarguscamerasrc.cpp, execute:751 No cameras available", "NO_DEVICE"),
        ("(Argus) Error Timeout: TIMEOUT", "TIMEOUT"),
        ("execute:851 Failed to create CaptureSession", "BUSY"),
        ("Invalid camera device specified 3 specified, 1 cameras detected", "NO_DEVICE"),
        ("something that nobody has heard", "READ_FAILED"),
    ],
)
def test_what_argus_says_has_a_code(said: str, code: str) -> None:
    assert gstreamer_failure(said, CSI).code == code
