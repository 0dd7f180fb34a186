"""runtime.capture on a real RTSP server: what it sends is read, and its faults are over when they are over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from urllib.parse import quote

import pytest

from runtime.capture.camera import READERS, Camera
from runtime.stream.status import SourceState
from tests.runtime.cameras import rtsp_server
from tests.runtime.cameras.rtsp_server import RtspServer
from tests.runtime.capture.watching import SHORT, code, until, watched

SECRET = "s3cr3t/?#:@"


@pytest.fixture(scope="module", autouse=True)
def _server_is_installed() -> None:
    if missing := rtsp_server.why_not():
        pytest.skip(missing)


@pytest.fixture
def server() -> Iterator[RtspServer]:
    with RtspServer() as running:
        yield running


def await_frames(camera: Camera, count: int = 5) -> None:
    """So many pictures that were received from now on."""
    now_ns, found = time.monotonic_ns(), []

    def came() -> bool:
        frame = camera.take()
        if frame is not None and frame.received_ns > now_ns:
            found.append(frame)
        return len(found) >= count

    until(came)
    until(lambda: camera.status().state is SourceState.STREAMING and camera.status().reason is None)


def test_pictures_move_and_carry_their_time(server: RtspServer) -> None:
    with watched(server.uri, SHORT, factory=READERS) as camera:
        await_frames(camera)
        frames = []
        until(lambda: (frame := camera.take()) is not None and (frames.append(frame), len(frames) >= 3)[1])
        first, last = frames[0], frames[-1]
        assert first.image.shape == (240, 320, 3)
        assert (first.image != last.image).any()
        assert first.received_ns < first.decoded_ns <= last.received_ns
        assert first.time is not None and last.time is not None and first.time < last.time


@pytest.mark.parametrize("transport", ["rtsp", "rtsp+udp"])
def test_both_transports_will_do(server: RtspServer, transport: str) -> None:
    with watched(server.uri.replace("rtsp", transport, 1), SHORT, factory=READERS) as camera:
        await_frames(camera)


def test_silence_is_named_and_over_when_it_is_over(server: RtspServer) -> None:
    with watched(server.uri, SHORT, factory=READERS) as camera:
        await_frames(camera)
        server.pause()
        until(lambda: code(camera) in ("NO_SIGNAL", "TIMEOUT"))
        until(lambda: code(camera) == "TIMEOUT")  # of an attempt that found it silent
        server.go_on()
        await_frames(camera)


def test_a_server_may_die_and_be_started_anew(server: RtspServer) -> None:
    with watched(server.uri, SHORT, factory=READERS) as camera:
        await_frames(camera)
        server.kill()
        until(lambda: code(camera) == "CONNECTION_FAILED")
        server.start()
        await_frames(camera)


def test_a_path_that_is_not_there_is_named(server: RtspServer) -> None:
    with watched(server.uri.replace("live", "other"), SHORT, factory=READERS) as camera:
        until(lambda: code(camera) == "NOT_FOUND")


def test_credentials_let_us_in_and_never_show() -> None:
    with RtspServer(credentials=("admin", SECRET)) as server:
        uri = server.uri.replace("//", f"//admin:{quote(SECRET, safe='')}@")
        with watched(uri, SHORT, factory=READERS) as camera:
            await_frames(camera, 1)
            told = json.dumps(asdict(camera.status()))
            assert SECRET not in told and "s3cr3t" not in told and "admin" not in told


def test_wrong_credentials_are_named_and_never_show() -> None:
    with RtspServer(credentials=("admin", "right")) as server:
        uri = server.uri.replace("//", f"//admin:{quote(SECRET, safe='')}@")
        with watched(uri, SHORT, retry=False, factory=READERS) as camera:
            until(lambda: camera.failure is not None)
            told = json.dumps(asdict(camera.status())) + str(camera.failure)
            assert "refuses this user and password" in told
            assert "s3cr3t" not in told and "admin" not in told
